"""FHIR resources that come into being because something refers to them: refer() and ``$refer``.

A map gives the resource, its key says which one it is, and the run keeps one of each.  At the end
`engine.mapping.bundles` puts them into the output.
"""

from __future__ import annotations

from typing import Any

import orjson

from engine.formats.null import NULL
from engine.mapping.failures import failed
from engine.mapping.functions.identifiers import urn_uuid
from engine.mapping.remembering import question
from engine.mapping.runstate import ENTRIES, SOURCES, UNREAD, Code, Run
from engine.mapping.scope import MapCode, Unit
from engine.mapping.tracing import Rule, Traced, untraced
from engine.mapping.values import text_of
from engine.syntax import Position


class Entries:
    """The resources that one run refers to, by URL, in the order in which they came into being."""

    __slots__ = ("known", "resources")

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Any]] = {}
        self.known: dict[Any, str | None] = {}
        """URLs by map and arguments: a map is pure, so equal arguments give an equal resource."""


def check_target(unit: Unit, position: Position, length: int) -> bool:
    """Whether the output can hold resources; otherwise a diagnostic says so."""
    if unit.target == "fhir":
        return True
    unit.diagnostics.add(
        "M311",
        position,
        "only a FHIR output has resources to refer to",
        length=length,
        help="use each() or $use, which put the map's output in this place",
    )
    return False


def referring(found: MapCode, where: str, rule: Rule | None, *, trace: bool) -> Code:
    """Calls the map, whose arguments are in their cells, and gives ``{reference: …}`` or None.

    ``rule`` is the line that writes the reference, when an explaining compilation knows it.
    """
    body, keys, name, asked_of = found.code(), found.keys, found.name, question(found)

    def url_of(run: Run, entries: Entries) -> str | None:
        """The resource's URL, once it is among the entries."""
        resource = body(run)
        if resource is None:
            return None
        kind = untraced(resource.get("resourceType")) if resource.__class__ is dict else None
        if kind.__class__ is not str:
            raise failed("R307", where, f"map '{name}' gives no resource to refer to")
        url = _url_by_key(run, kind, keys) or url_by_content(kind, resource, where)
        resource = resource.copy()  # it may stand elsewhere in the output
        first = entries.resources.setdefault(url, resource)
        if first is not resource and _contradicts(first, resource):
            # Two people under one number, or one person spelled twice: nothing is lost.
            url = urn_uuid.call(kind, url, url_by_content(kind, resource, where))
            if "id" in resource and untraced(resource["id"]) == untraced(first.get("id")):
                resource["id"] = _renamed(resource["id"], url.removeprefix("urn:uuid:"))
            first = entries.resources.setdefault(url, resource)
        if first is not resource:
            for key in resource:
                first.setdefault(key, resource[key])
            if trace:
                _read_again(first, resource)
        return url

    def refer(run: Run) -> Any:
        entries = run[ENTRIES]
        if entries is None:
            entries = run[ENTRIES] = Entries()
        asked = asked_of(run)
        url = entries.known.get((name, asked), UNREAD)
        if url is UNREAD:
            url = url_of(run, entries)
            if asked is not None:
                entries.known[name, asked] = url
        return None if url is None else {"reference": url}

    def tracing(run: Run) -> Any:
        if run[ENTRIES] is None:
            run[ENTRIES] = Entries()
        kept, run[SOURCES] = run[SOURCES], None
        url = url_of(run, run[ENTRIES])
        run[SOURCES] = kept
        if url is None:
            return None
        return {"reference": url if rule is None else Traced(url, rule, [])}

    return tracing if trace else refer


def _contradicts(first: dict[str, Any], again: dict[str, Any]) -> bool:
    """Whether the two say different things of what both speak of."""
    return any(
        key in first and untraced(first[key]) != untraced(value) for key, value in again.items()
    )


def _read_again(first: Any, again: Any) -> None:
    """What the same resource has read elsewhere counts as a source of the leaves that it shares."""
    if first.__class__ is Traced:
        if again.__class__ is Traced and first is not again and first.value == again.value:
            first.sources = [*first.sources, *again.sources]
            first.places = [*first.places, *again.places]
    elif first.__class__ is dict and again.__class__ is dict:
        for key in first.keys() & again.keys():
            _read_again(first[key], again[key])
    elif first.__class__ is list and again.__class__ is list:
        for one, other in zip(first, again, strict=False):
            _read_again(one, other)


def _renamed(id: Any, name: str) -> Any:
    return Traced(name, id.rule, id.sources) if id.__class__ is Traced else name


def _url_by_key(run: Run, kind: str, keys: tuple[Code, ...]) -> str | None:
    """None when the map has no key, or a part of it is missing."""
    parts: list[Any] = []
    for key in keys:
        part = untraced(key(run))
        if part is None or part is NULL:
            return None
        parts.append(part)
    return urn_uuid.call(kind, *parts) if parts else None


def url_by_content(kind: str, resource: dict[str, Any], where: str) -> str:
    """The same for equal resources (their canonical JSON)."""
    try:
        text = orjson.dumps(untraced(resource), default=_plain, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        raise failed("R307", where, "a resource that cannot be written as JSON") from None
    url: str = urn_uuid.call(kind, text.decode())
    return url


def _plain(value: Any) -> Any:
    return None if value is NULL else text_of(value)
