"""Maps that have been checked need not be checked again for every mapping that imports them.

What the compiler says of a map depends on the map, on what its names mean, and on a few things of
the mapping around it.  Where all of that is the same, nothing new can be found: only the names it
uses count, for what is unused, and for maps that come back to themselves.  A map of which anything
was said is not remembered, so that each mapping that imports it says it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.formats.delimited import Layout
from engine.mapping.mapfile import MapDefinition
from engine.mapping.tables import Table


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a map may depend on besides its own text and its names."""

    format: str
    namespaces: frozenset[tuple[str, str]]
    layout: Layout
    target: str
    target_namespaces: frozenset[tuple[str, str]]
    target_version: str
    types: frozenset[str]
    """The datatypes for which ``$copy`` calls a map."""


@dataclass(frozen=True, slots=True)
class CheckedMap:
    definition: MapDefinition
    calls: Mapping[str, MapDefinition]
    """The maps it calls, in the order of its text."""
    tables: Mapping[str, Table]

    def still_means(self, maps: Mapping[str, MapDefinition], tables: Mapping[str, Table]) -> bool:
        """Whether its names mean the same as when it was checked."""
        return all(maps.get(name) is known for name, known in self.calls.items()) and all(
            tables.get(name) is known for name, known in self.tables.items()
        )


@dataclass(slots=True)
class Checked:
    """The maps of one library that were checked while a project was loaded.  For one thread, and
    for mappings that share their library: a map is known by its definition, not by its name."""

    _found: dict[tuple[int, Surroundings], CheckedMap] = field(default_factory=dict)

    def find(self, definition: MapDefinition, around: Surroundings) -> CheckedMap | None:
        return self._found.get((id(definition), around))

    def add(self, found: CheckedMap, around: Surroundings) -> None:
        self._found[id(found.definition), around] = found
