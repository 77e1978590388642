"""Which mapping takes a document: the catalogue of a folder's mappings.

For HL7 v2, from the exact to the general: the event (``ADT^A08``, also written ``ADT_A08``), the
structure (the event's own, or else MSH-9.3), a pattern (``ADT_*``), ``any``.  For FHIR: the
event of the MessageHeader, then ``when:``, then the resource alone.  XML is chosen by its root
element.  What names nothing but its format comes last.  Among equals the higher ``priority:``
wins, then one whose ``when:`` holds (several: by name), then an overlay before what it extends.
Where nothing tells two apart none is guessed: that is an error, and lint warns of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from engine.contract import Document
from engine.formats.hl7v2 import Hl7Message
from engine.formats.hl7v2.structure_table import name_of
from engine.formats.xml import XmlDocument
from engine.mapping.failures import failed
from engine.mapping.headers import ANY, MappingHeader
from engine.syntax import Diagnostics, Scalar
from engine.syntax.nearest import nearest

_NEVER: Final = 9
_NAME_ONE: Final = "name one with --mapping, or give one a higher priority: in its from:"
CDA_ROOT: Final = "ClinicalDocument"


@dataclass(frozen=True, slots=True)
class DocumentType:
    """What a document says about its own type; ``names`` from the exact to the general."""

    format: str
    names: tuple[str, ...] = ()
    event: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.format, self.names[0] if self.names else "") if part)


def type_of(document: Document) -> DocumentType:
    if isinstance(document, Hl7Message):
        return _hl7v2(document)
    if isinstance(document, XmlDocument):
        root = document.content
        return DocumentType(document.format, () if root is None else (_local_name(root),))
    value = getattr(document, "value", None)
    if document.format == "fhir" and isinstance(value, dict):
        return DocumentType("fhir", (str(value.get("resourceType", "")),), _event(value))
    return DocumentType(document.format)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mapping that takes a document if its ``when`` is true, or without one."""

    order: tuple[int, int, bool, int]
    name: str
    when: Scalar | None


class Catalogue:
    """The mappings of one folder.  Immutable."""

    def __init__(self, headers: Iterable[MappingHeader]) -> None:
        self.headers = {header.name: header for header in headers}

    def source(self, header: MappingHeader) -> MappingHeader:
        """The header that says what a mapping reads: for an overlay, maybe its base's."""
        return self._first(header, lambda one: one.source)

    def target(self, header: MappingHeader) -> str:
        return self._first(header, lambda one: one.target).target

    def candidates(self, kind: DocumentType, to: str) -> list[Candidate]:
        """Those that may take it, in the order to try."""
        found: list[Candidate] = []
        for header in self.headers.values():
            if header.chosen_by_name_only or self.target(header) != to:
                continue
            taken = self.source(header)
            if taken.source != kind.format:
                continue
            for rank, when in _ranks(taken, kind):
                order = (rank, -taken.priority, when is None, -self._depth(header))
                found.append(Candidate(order, header.name, when))
        return sorted(found, key=lambda one: (one.order, one.name))

    def choose(self, kind: DocumentType, to: str, holds: Callable[[Candidate], bool]) -> str:
        """The name of the mapping; ``holds`` tries a candidate's ``when:``.

        Raises MappingError: R410 when none takes the document, R411 when two do.
        """
        found = self.candidates(kind, to)
        for number, one in enumerate(found, start=1):
            if one.when is None:
                if number < len(found) and found[number].order == one.order:
                    both = f"'{one.name}' and '{found[number].name}'"
                    raise failed("R411", "", f"{both} take {kind} to {to}", _NAME_ONE)
                return one.name
            if holds(one):
                return one.name
        raise failed("R410", "", f"no mapping takes {kind} to {to}", self._help(kind, to))

    def ambiguities(self, diagnostics: Diagnostics) -> None:
        """A warning for each mapping that takes what another takes as well (C304)."""
        owners: dict[tuple[object, ...], str] = {}
        for header in sorted(self.headers.values(), key=lambda one: one.name):
            taken = self.source(header)
            if header.chosen_by_name_only or taken.when is not None or not header.source:
                continue
            for what in _claims(taken):
                key = (taken.source, self.target(header), taken.priority, *what)
                other = owners.setdefault(key, header.name)
                if other != header.name and not self._related(header, self.headers[other]):
                    diagnostics.at(
                        "C304",
                        header.place,
                        f"'{other}' takes {' '.join(map(str, what)) or taken.source} as well",
                        help="say what each takes, or give one a higher priority:",
                    )
                    break

    def _first(self, header: MappingHeader, has: Callable[[MappingHeader], str]) -> MappingHeader:
        seen: set[str] = set()
        one = header
        while not has(one) and one.extends in self.headers and one.name not in seen:
            seen.add(one.name)
            one = self.headers[one.extends]
        return one

    def _bases(self, header: MappingHeader) -> list[str]:
        found: list[str] = []
        while header.extends in self.headers and header.extends not in found:
            found.append(header.extends)
            header = self.headers[header.extends]
        return found

    def _depth(self, header: MappingHeader) -> int:
        return len(self._bases(header))

    def _related(self, one: MappingHeader, other: MappingHeader) -> bool:
        return one.name in self._bases(other) or other.name in self._bases(one)

    def _help(self, kind: DocumentType, to: str) -> str:
        known = {
            what
            for header in self.headers.values()
            if self.target(header) == to and not header.chosen_by_name_only
            for what in (self.source(header).messages or self.source(header).resources)
            if self.source(header).source == kind.format
        }
        near = nearest(kind.names[0], known) if kind.names else None
        hint = f"the nearest that is taken is {near}; " if near else ""
        return f"{hint}name a mapping with --mapping, or write one"


def _ranks(header: MappingHeader, kind: DocumentType) -> Iterator[tuple[int, Scalar | None]]:
    """How exactly a header names a document, 0 most, each with what must be true besides."""
    if kind.format == "hl7v2":
        rank = _rank_of_message(header, kind)
    elif kind.format == "fhir":
        if header.resources and not set(header.resources) & {*kind.names, ANY}:
            return
        if kind.event and any(_same_event(kind.event, event) for event in header.events):
            # The event decides; only between two that name it, what the Bundle holds does.
            if header.when is not None:
                yield 0, header.when
            yield 1, None
            return
        rank = 2 if header.when is not None else _NEVER if header.events else 3
    else:
        roots = header.roots or ((CDA_ROOT,) if kind.format == "cda" else ())
        rank = 1 if not roots or ANY in roots else 0 if set(roots) & set(kind.names) else _NEVER
    if rank < _NEVER:
        yield rank, header.when


def _rank_of_message(header: MappingHeader, kind: DocumentType) -> int:
    for rank, name in enumerate(kind.names):
        if name in header.messages:
            return rank
    patterns = [one for one in header.messages if "*" in one]
    if any(fnmatchcase(name, pattern) for name in kind.names for pattern in patterns):
        return 4
    return 5 if ANY in header.messages else _NEVER if header.messages else 6


def _claims(header: MappingHeader) -> Sequence[tuple[str, ...]]:
    """What a header names, each to be named by one mapping only."""
    if header.source == "fhir":
        events = [_bare(event) for event in header.events] or [""]
        return [(resource, event) for resource in header.resources for event in events]
    return [(one,) for one in (*header.messages, *header.roots)]


def _hl7v2(message: Hl7Message) -> DocumentType:
    """The event, the structure it has, and the one that MSH-9.3 declares."""
    parts = message.header.field(9).split(message.separators.component)
    declared = parts[2].strip() if len(parts) > 2 else ""
    names = (message.type.replace("^", "_"), name_of(message), declared.replace("^", "_"))
    return DocumentType("hl7v2", tuple(dict.fromkeys(name for name in names if name)))


def _local_name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _event(bundle: dict[str, Any]) -> str:
    """The event of the MessageHeader, wherever in the Bundle it stands."""
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == "MessageHeader":
            coding = resource.get("eventCoding")
            code = coding.get("code") if isinstance(coding, dict) else resource.get("eventUri")
            return code if isinstance(code, str) else ""
    return ""


def _same_event(found: str, wanted: str) -> bool:
    """``R01``, ``ORU^R01`` and ``…/ORU_R01`` name one event, unless both say more."""
    return found == wanted or (
        _bare(found) == _bare(wanted)
        and (
            _whole(found) == _whole(wanted) or "_" not in _whole(found) or "_" not in _whole(wanted)
        )
    )


def _whole(event: str) -> str:
    return event.rpartition("/")[2].rpartition("#")[2].replace("^", "_")


def _bare(event: str) -> str:
    return _whole(event).rpartition("_")[2]
