"""How the resources of one document hang together: contained resources, entries of a Bundle and
the references between them (FHIR R4 2.3.0.6, 2.36.4, 3.1.0.11.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from engine.formats.fhir.structure import Reference, wanted, written
from engine.formats.findings import Finding

_WITH_REQUESTS: Final = ("transaction", "batch", "history")
_RESPONSES: Final = ("transaction-response", "batch-response")


def check_links(resource: dict[str, Any], references: Iterable[Reference]) -> Iterator[Finding]:
    """Findings about a whole document: ``references`` are those that `Walk` met in it."""
    entries = _entries(resource)
    if resource.get("resourceType") == "Bundle":
        yield from _check_entries(resource, entries)
    by_url: dict[str, Any] = {}
    for entry in entries:
        url = entry.get("fullUrl")
        if isinstance(url, str):
            by_url.setdefault(url, entry.get("resource"))
    for reference in references:
        place, text = written(reference.place), reference.text
        if text[0] == "#":
            target = _contained(reference.container, text[1:])
            if target is None:
                yield Finding(place, "no contained resource has this id")
                continue
        elif text in by_url:
            target = by_url[text]
        elif entries and text.startswith(("urn:uuid:", "urn:oid:")):
            yield Finding(place, "no entry of the Bundle has this fullUrl")
            continue
        else:
            continue
        kind = target.get("resourceType") if isinstance(target, dict) else None
        if reference.targets and isinstance(kind, str) and kind not in reference.targets:
            yield Finding(place, f"{wanted(reference.targets)}, not to {kind}")


def _entries(resource: dict[str, Any]) -> list[dict[str, Any]]:
    given = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    entries = given if isinstance(given, list) else []
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _check_entries(bundle: dict[str, Any], entries: list[dict[str, Any]]) -> Iterator[Finding]:
    """bdl-3, bdl-4, bdl-5, bdl-7, bdl-8."""
    kind = bundle.get("type")
    seen: set[tuple[str, Any]] = set()
    for number, entry in enumerate(entries):
        place = f"Bundle.entry[{number}]"
        if ("request" in entry) != (kind in _WITH_REQUESTS):
            if "request" in entry:
                yield Finding(f"{place}.request", "only a transaction, batch or history has it")
            else:
                yield Finding(f"{place}.request", "a transaction, batch or history needs it")
        if kind in _RESPONSES and "response" not in entry:
            yield Finding(f"{place}.response", "a response needs it")
        if not {"resource", "request", "response"} & entry.keys():
            yield Finding(place, "an entry holds a resource, a request or a response")
        url = entry.get("fullUrl")
        if not isinstance(url, str):
            continue
        if "/_history/" in url:
            yield Finding(f"{place}.fullUrl", "a fullUrl names no version")
        resource = entry.get("resource")
        meta = resource.get("meta") if isinstance(resource, dict) else None
        version = meta.get("versionId") if isinstance(meta, dict) else None
        if kind != "history" and (url, str(version)) in seen:
            yield Finding(f"{place}.fullUrl", "another entry has the same fullUrl")
        seen.add((url, str(version)))


def _contained(container: dict[str, Any], name: str) -> Any:
    """What ``#name`` means inside a resource; ``#`` is the resource itself."""
    if not name:
        return container
    given = container.get("contained")
    for one in given if isinstance(given, list) else ():
        if isinstance(one, dict) and one.get("id") == name:
            return one
    return None
