"""What a FHIR output leaves open, completed: entries that are referred to, requests and ids.

An entry of a transaction or batch (HL7 FHIR R4 3.1.0.11) that names no request becomes an update
with an id that its ``fullUrl`` gives.  One that says only ``POST`` becomes a conditional create
(3.1.0.8.1) on its first identifier that has a system.  Both can be posted twice without doubling
anything.  What is written in full stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.mapping.functions.text import url_encode
from engine.mapping.referring import url_by_content
from engine.mapping.runstate import ENTRIES, Run
from engine.mapping.scope import Unit
from engine.mapping.tracing import Rule, Traced
from engine.syntax import Position

_INTERACTIONS: Final = ("transaction", "batch")
_UUID: Final = "urn:uuid:"


def completion(unit: Unit, position: Position) -> Callable[[Run, Any], Any] | None:
    """What a mapping does with its finished output; None when its format leaves nothing open."""
    if unit.target != "fhir":
        return None
    mark: Callable[[str], Any] = _unmarked
    if unit.trace:
        rule = Rule("(completed)", position)

        def mark(text: str) -> Any:
            return Traced(text, rule, [])

    where = str(position)

    def completing(run: Run, tree: Any) -> Any:
        found = run[ENTRIES]
        resources = {} if found is None else found.resources
        if tree.__class__ is not dict:
            return tree
        if _plain(tree.get("resourceType")) != "Bundle":
            return _contained(tree, resources, mark) if resources else tree
        interacts = _plain(tree.get("type")) in _INTERACTIONS
        if resources or interacts:
            _complete(tree, resources, interacts, mark, where)
        return tree

    return completing


def _unmarked(text: str) -> Any:
    return text


def _plain(value: Any) -> Any:
    return value.value if value.__class__ is Traced else value


def _complete(
    bundle: dict[str, Any],
    resources: dict[str, dict[str, Any]],
    interacts: bool,
    mark: Callable[[str], Any],
    where: str,
) -> None:
    entries = bundle.get("entry")
    if entries.__class__ is not list:
        entries = [] if entries is None else [entries]
    if not resources and all(map(_settled, entries)) and not _doubled(entries):
        return
    if _doubled(entries):
        entries = _united([_copied(entry) for entry in entries])
    waiting = dict(resources)
    done = []
    for given in entries:
        entry = _usual(given, waiting) if interacts else None
        if entry is not None:
            done.append(entry)
            continue
        entry = _copied(given)
        done.append(entry)
        if entry.__class__ is not dict:
            continue
        if waiting:
            again = waiting.pop(_plain(entry.get("fullUrl")), None)
            resource = entry.get("resource")
            if again is not None and resource.__class__ is dict:
                entry["resource"] = _filled(resource, again)
        if interacts:
            _complete_entry(entry, mark, where)
    for url, resource in waiting.items():
        entry = {"fullUrl": mark(url), "resource": resource}
        if interacts:
            if "id" not in resource:  # a resource with an id of its own is the message's to tell
                entry["request"] = {"method": mark("POST")}
            _complete_entry(entry, mark, where)
        done.append(entry)
    if done:
        bundle["entry"] = done


def _usual(entry: Any, waiting: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """What `_complete_entry` makes of an entry that has a URL of a UUID and a resource without an
    id, and nothing else, without a detour; None for every other.  ``waiting`` are resources by URL
    that entries are to be filled in with."""
    if entry.__class__ is not dict or len(entry) != 2:
        return None
    url, resource = entry.get("fullUrl"), entry.get("resource")
    if url.__class__ is not str or url in waiting or not url.startswith(_UUID):
        return None
    if resource.__class__ is not dict or "id" in resource:
        return None
    kind, id = resource.get("resourceType"), url[len(_UUID) :]
    if kind.__class__ is not str:
        return None
    return {
        **entry,
        "resource": {"resourceType": kind, "id": id, **resource},
        "request": {"method": "PUT", "url": f"{kind}/{id}"},
    }


def _settled(entry: Any) -> bool:
    """Whether an entry says its request itself."""
    request = entry.get("request") if entry.__class__ is dict else None
    return request.__class__ is dict and "url" in request


def _doubled(entries: list[Any]) -> bool:
    """Whether any two entries have the same URL, which a transaction must not have (bdl-7)."""
    urls = [_plain(one.get("fullUrl")) for one in entries if one.__class__ is dict]
    named = [url for url in urls if url is not None]
    return len(named) != len(set(named))


def _united(entries: list[Any]) -> list[Any]:
    """Entries of one URL as one: the first, filled in with what only the others have."""
    found: dict[Any, dict[str, Any]] = {}
    united = []
    for entry in entries:
        url = _plain(entry.get("fullUrl")) if entry.__class__ is dict else None
        first = found.get(url) if url is not None else None
        if first is None:
            if url is not None:
                found[url] = entry
            united.append(entry)
            continue
        resource, more = first.get("resource"), entry.get("resource")
        if resource.__class__ is dict and more.__class__ is dict:
            first["resource"] = _filled(resource, more)
    return united


def _copied(entry: Any) -> Any:
    """An entry that can be changed, and its request: parts of an output may be shared."""
    if entry.__class__ is not dict:
        return entry
    entry = entry.copy()
    if entry.get("request").__class__ is dict:
        entry["request"] = entry["request"].copy()
    return entry


def _filled(resource: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """With what only the other has."""
    return {**resource, **{key: more[key] for key in more if key not in resource}}


def _complete_entry(entry: dict[str, Any], mark: Callable[[str], Any], where: str) -> None:
    request = entry.get("request")
    if request is None:
        request = {}
    elif request.__class__ is not dict or "url" in request:
        return
    resource = entry.get("resource")
    if resource.__class__ is not dict:
        return
    kind = _plain(resource.get("resourceType"))
    method = _plain(request.get("method"))
    if kind.__class__ is not str or method not in (None, "PUT", "POST"):
        return
    if method == "POST":
        if "ifNoneExist" not in request:
            search = _search(resource.get("identifier"))
            if search is None:
                method = None
            else:
                request["ifNoneExist"] = mark(search)
        if method is not None:
            request["url"] = mark(kind)
            return
    id = _id(entry, resource, kind, where, mark)
    put = mark("PUT")
    asked = request.get("method")
    if asked.__class__ is Traced and put.__class__ is Traced:
        put.through = (asked.rule,)  # what asked for a create has an effect, though not its word
    entry["request"] = {**request, "method": put, "url": mark(f"{kind}/{id}")}


def _id(
    entry: dict[str, Any],
    resource: dict[str, Any],
    kind: str,
    where: str,
    mark: Callable[[str], Any],
) -> str:
    """The resource's id: its own, or that of its URL, or one that equal content shares."""
    id = _plain(resource.get("id"))
    if id.__class__ is str:
        return str(id)
    url = _plain(entry.get("fullUrl"))
    if url.__class__ is not str:
        url = url_by_content(kind, resource, where)
        rest = entry.copy()
        entry.clear()
        entry["fullUrl"] = mark(url)
        entry.update(rest)
    id = url.removeprefix(_UUID) if url.startswith(_UUID) else url.rpartition("/")[2]
    if "id" in resource:  # and no text
        resource = {key: value for key, value in resource.items() if key != "id"}
    entry["resource"] = {"resourceType": None, "id": mark(id), **resource}
    return str(id)


def _search(identifiers: Any) -> str | None:
    """The search for the first identifier that has a system (HL7 FHIR R4 3.1.1.4.10)."""
    for identifier in identifiers if identifiers.__class__ is list else [identifiers]:
        if identifier.__class__ is not dict:
            continue
        system, value = _plain(identifier.get("system")), _plain(identifier.get("value"))
        if system.__class__ is str and value.__class__ is str:
            return f"identifier={url_encode.call(system)}%7C{url_encode.call(value)}"
    return None


# --- a single resource --------------------------------------------------------------------


def _contained(
    tree: dict[str, Any], resources: dict[str, dict[str, Any]], mark: Callable[[str], Any]
) -> dict[str, Any]:
    """What the resource refers to, within it (HL7 FHIR R4 2.3.0.12)."""
    ids = {url: url.removeprefix(_UUID) for url in resources}
    _point(tree, ids)
    inside = tree.get("contained")
    inside = inside if inside.__class__ is list else [] if inside is None else [inside]
    for url, resource in resources.items():
        _point(resource, ids)
        own = {"resourceType": resource.pop("resourceType"), "id": mark(ids[url])}
        inside.append({**own, **resource})
    tree["contained"] = inside
    return tree


def _point(node: Any, ids: dict[str, str]) -> None:
    """Turn the references below ``node`` into ``#id``."""
    if node.__class__ is list:
        for item in node:
            _point(item, ids)
    elif node.__class__ is dict:
        for key, value in node.items():
            if key == "reference" and _plain(value) in ids:
                short = f"#{ids[_plain(value)]}"
                if value.__class__ is Traced:
                    value.value = short
                else:
                    node[key] = short
            else:
                _point(value, ids)
