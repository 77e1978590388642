"""What a file and everything that it imports bring together: maps and tables by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from engine.mapping.library import Library
from engine.mapping.mapfile import MapDefinition, MapFile
from engine.mapping.tables import Table
from engine.syntax import Diagnostics, Scalar
from engine.syntax.nearest import did_you_mean

MAX_IMPORTS: Final = 500
_Named = TypeVar("_Named", MapDefinition, Table)


@dataclass(slots=True)
class Imports:
    """The names of one compilation, the file's own among them."""

    maps: dict[str, MapDefinition]
    tables: dict[str, Table]
    files: dict[str, MapFile] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    """Of the content of the imported files."""
    hiding: set[tuple[str, str]] = field(default_factory=set)


def read_imports(file: MapFile, library: Library, diagnostics: Diagnostics) -> Imports:
    """The file's own names first: they may not be imported as well.

    Where an overlay of a library is imported, it stands for that library everywhere.
    """
    found = Imports(dict(file.maps), dict(file.tables), hiding=set(file.hiding))
    wanted_by: dict[str, Scalar] = {}
    waiting = list(file.imports)
    while waiting and len(wanted_by) < MAX_IMPORTS:
        wanted = waiting.pop(0)
        if wanted.text in wanted_by:
            continue
        wanted_by[wanted.text] = wanted
        read = library.load(wanted.text, diagnostics)
        if read is None:
            diagnostics.at(
                "M006",
                wanted,
                f"nothing to import as '{wanted.text}'",
                help=did_you_mean(wanted.text, library.names()),
            )
            continue
        found.files[wanted.text] = read
        waiting += read.imports
    extended = {base for read in found.files.values() for base in read.bases}
    for name, read in found.files.items():
        if name not in extended:
            wanted = wanted_by[name]
            found.digests.append(read.digest)
            merging = _Merging(read, wanted, found.hiding, diagnostics)
            merging.add("map", found.maps, read.maps, file.maps)
            merging.add("table", found.tables, read.tables, file.tables)
    return found


@dataclass(frozen=True, slots=True)
class _Merging:
    """One imported file; ``wanted`` is where its name stands."""

    read: MapFile
    wanted: Scalar
    hiding: set[tuple[str, str]]
    diagnostics: Diagnostics

    def add(
        self,
        kind: str,
        ours: dict[str, _Named],
        theirs: Mapping[str, _Named],
        own: Collection[str],
    ) -> None:
        """``own`` are the names of the file that imports: nothing stands in their place."""
        for name, definition in theirs.items():
            place = (f"{kind}s", name)
            if place in self.hiding:
                continue
            if place in self.read.hiding and name not in own:
                self.hiding.add(place)
                ours[name] = definition
            elif name in ours:
                self.diagnostics.at(
                    "M007",
                    self.wanted,
                    f"{kind} '{name}' of '{self.wanted.text}' has a meaning already",
                    help="rename one of them",
                )
            ours.setdefault(name, definition)


def warn_unused_imports(
    file: MapFile,
    imports: Imports,
    maps: Collection[str],
    tables: Collection[str],
    diagnostics: Diagnostics,
) -> None:
    """A warning for each import of which, and of whose imports, no map or table is used."""
    for wanted in file.imports:
        seen: set[str] = set()
        waiting = [wanted.text]
        while waiting:
            read = imports.files.get(waiting.pop())
            if read is None or read.name in seen:
                continue
            seen.add(read.name)
            waiting += (one.text for one in read.imports)
            if not read.maps.keys().isdisjoint(maps) or not read.tables.keys().isdisjoint(tables):
                break
        else:
            if wanted.text in imports.files:
                problem = f"nothing of '{wanted.text}' is used"
                diagnostics.at("M606", wanted, problem, help="remove the import")
