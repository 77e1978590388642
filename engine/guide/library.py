"""The files of ``mappings/lib/v2``, made from the guide's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from engine.guide.bodies import BODIES, IDENTITIES, Body
from engine.guide.choices import CHOICES
from engine.guide.output import MapWriter
from engine.guide.parts import OWN, PARTS
from engine.guide.patches import Left, PatchError, Patches
from engine.guide.rows import Code, GuideMap, code_map, guide_map
from engine.guide.slips import SLIPS
from engine.guide.sources import Made
from engine.guide.text import Lst, Obj, key, lines, wrapped
from engine.guide.vocabulary import OWN_CODING, Vocabulary

_MADE: Final = "Made by `python -m engine.guide` from the HL7 v2-to-FHIR tables. Do not edit:"
_HOW: Final = "mend the tables in engine/guide, or lay an overlay over this (docs/guide-maps.md)."


@dataclass(slots=True)
class Coverage:
    """How many rows with a target there are in a kind of map, and what became of them."""

    rows: int = 0
    compiled: int = 0
    by_hand: int = 0
    narrative: int = 0
    left: list[tuple[str, Left]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Library:
    """``files`` by path below ``mappings/lib/v2``."""

    files: Mapping[str, str]
    coverage: Mapping[str, Coverage]


def build(tables: Mapping[str, Mapping[str, str]]) -> Library:
    """``tables``: folder (``datatypes``, ``segments``, ``codesystems``) → file → text.

    Raises PatchError for a patch that finds no row, ValueError for a file that is no table.
    """
    datatypes = _maps(tables["datatypes"])
    segments = _maps(tables["segments"])
    codes: dict[str, tuple[Code, ...]] = {}
    for file, text in sorted(tables["codesystems"].items()):
        name, rows = code_map(file, text)
        codes[name] = rows
    vocabulary = Vocabulary(codes)
    patches = Patches((*SLIPS, *CHOICES))
    builder = _Builder(datatypes, vocabulary, patches)
    files = {"datatypes.yaml": builder.datatypes()}
    by_segment: dict[str, list[GuideMap]] = {}
    for map in segments.values():
        by_segment.setdefault(map.source, []).append(map)
    for segment, maps in sorted(by_segment.items()):
        files[f"segments/{segment.lower()}.yaml"] = builder.segment(segment, maps)
    if patches.unused:
        unused = "; ".join(f"{p.maps} {p.source} {p.target} {p.change}" for p in patches.unused)
        raise PatchError(f"patches that find nothing: {unused}")
    files["concepts.yaml"] = _concepts(vocabulary)
    files["tables.yaml"] = _tables(vocabulary)
    return Library(files, builder.coverage)


def _maps(files: Mapping[str, str]) -> dict[str, GuideMap]:
    found = (guide_map(file, text) for file, text in sorted(files.items()))
    return {map.name: map for map in found}


def _head(about: str, imports: Iterable[str] = ()) -> Iterator[str]:
    yield f"# {about}"
    yield "#"
    yield f"# {_MADE}"
    yield f"# {_HOW}"
    yield ""
    yield "from: {format: hl7v2}"
    yield "to: {format: fhir}"
    listed = ", ".join(f"lib/v2/{name}" for name in imports)
    if listed:
        yield f"import: [{listed}]"


def _tables(vocabulary: Vocabulary) -> str:
    parts = [*_head("The guide's code maps, by their names."), "", "tables:"]
    body = list(vocabulary.lines())
    return "\n".join([*parts, *body[1:]]) + "\n"


def _concepts(vocabulary: Vocabulary) -> str:
    about = "v2 codes as concepts: the code of a table, and the sender's own if it says more."
    parts = [*_head(about, ("tables", "systems")), "", "maps:", *OWN_CODING.splitlines(), ""]
    for name, out in sorted(vocabulary.concepts.items()):
        arg = name.split("_")[0].lower()
        parts += [f"  {name}:", f"    args: [{arg}]", "    out:", *lines(out, 6), ""]
    return "\n".join(parts).rstrip() + "\n"


class _Builder:
    def __init__(
        self, datatypes: dict[str, GuideMap], vocabulary: Vocabulary, patches: Patches
    ) -> None:
        self.maps, self.vocabulary, self.patches = datatypes, vocabulary, patches
        self.coverage = {"datatypes": Coverage(), "segments": Coverage()}

    def datatypes(self) -> str:
        about = "Data types of HL7 v2 as FHIR, one map for each of the guide's."
        parts = [*_head(about, ("tables", "systems", "concepts")), "", "maps:"]
        own = [(name, body) for name, body in BODIES.items() if body.args]
        todo = {**self.maps, **dict.fromkeys(name for name, _ in own)}
        for name in sorted(todo):
            map = self.maps.get(name)
            parts += self.map_lines(map, "datatypes") if map else _body_lines(name, BODIES[name])
            parts.append("")
        return "\n".join(parts).rstrip() + "\n"

    def segment(self, segment: str, maps: list[GuideMap]) -> str:
        about = f"The segment {segment} as FHIR, one map for each resource that the guide gives it."
        parts = [*_head(about, ("tables", "systems", "concepts", "datatypes")), "", "maps:"]
        for map in sorted(maps, key=lambda map: map.name):
            parts += [*self.map_lines(map, "segments"), ""]
        for name, body in OWN.get(segment, ()):
            parts += [*_body_lines(name, body), ""]
        return "\n".join(parts).rstrip() + "\n"

    def map_lines(self, map: GuideMap, kind: str) -> list[str]:
        rows, left = self.patches.mend(map)
        coverage = self.coverage[kind]
        coverage.rows += len(map.rows)
        body = BODIES.get(map.name)
        if body is not None:
            coverage.by_hand += len(map.rows)
            return _body_lines(map.name, body, map.label, map.source.lower())
        writer = MapWriter(map, self.maps, self.vocabulary.fhir, self.vocabulary)
        made = writer.write(rows)
        part = PARTS.get(map.name)
        missing = [*left, *writer.left]
        for one in missing:
            if one.reason.startswith("done "):
                coverage.by_hand += 1
            elif one.row.narrative:
                coverage.narrative += 1
            else:
                coverage.left.append((map.label, one))
        coverage.compiled += len(map.rows) - len(missing)
        found = list(_map_lines(made, map.label, missing, part.text if part else ""))
        for below in writer.below:
            found += ["", *_map_lines(below, "", [], "")]
        return found


def _body_lines(name: str, body: Body, label: str = "", arg: str = "") -> list[str]:
    comment = f"{label}, by hand. {body.reason}" if label else body.reason
    args = ", ".join(body.args or (arg,))
    indented = [f"    {line}" if line else "" for line in body.text.splitlines()]
    head = list(wrapped(comment, 2)) if comment else []
    identity = list(_identity(name))
    return [*head, f"  {name}:", f"    args: [{args}]", *identity, *indented]


def _identity(name: str) -> Iterator[str]:
    found = IDENTITIES.get(name)
    if found is not None and found.parts:
        yield "    key:"
        for part in found.parts:
            yield f"      - = {part}"


def _map_lines(made: Made, label: str, missing: list[Left], part: str) -> Iterator[str]:
    if label:
        yield f"  # {label}"
    reasons: dict[str, list[str]] = {}
    for left in missing:
        reasons.setdefault(left.reason, []).append(left.row.source or "no source")
    for reason, sources in reasons.items():
        listed = ", ".join(dict.fromkeys(sources))
        yield from wrapped(f"Left out: {listed} ({reason}).", 2)
    yield f"  {made.name}:"
    yield f"    args: [{', '.join(made.args)}]"
    yield from _identity(made.name)
    given = IDENTITIES[made.name].given if made.name in IDENTITIES else made.guard
    if isinstance(made.out, str):
        yield from lines(_single("out", made.out), 4)
        return
    assert isinstance(made.out, Obj)  # noqa: S101
    written = "\n".join(lines(made.out)) + part
    if not given and f"${made.args[0]}" not in written:
        given = f"exists(${made.args[0]})"  # what is constant still needs the segment
    out = Obj(([("$if", given, "")] if given else []) + made.out.entries)
    if not out.entries and not part:
        yield "    out: {}"
        return
    yield "    out:"
    yield from lines(out, 6)
    for line in part.splitlines():
        yield f"      {line}"


def _single(name: str, value: str) -> Obj:
    found = Obj()
    found.add(name, value)
    return found


__all__ = ["Coverage", "Library", "Lst", "build", "key"]
