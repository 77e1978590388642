"""FHIR's own definitions, R4 (4.0.1) and R5 (5.0.0): types, elements, cardinalities, bindings.

The tables beside this module are made by generators/fhir_definitions.py.  A table is read once,
in a few milliseconds; a type is taken apart when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

VERSIONS: Final = ("R4", "R5")


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type.  ``types`` has several for a choice (``value[x]``)."""

    name: str  # without [x]
    required: bool
    many: bool
    choice: bool
    types: tuple[str, ...]
    targets: frozenset[str]  # what a Reference may point to; empty: anything
    binding: str | None  # codes that are required

    @property
    def keys(self) -> tuple[str, ...]:
        """As it is spelt in JSON: one key for each type of a choice."""
        if not self.choice:
            return (self.name,)
        return tuple(self.name + kind[0].upper() + kind[1:] for kind in self.types)


@dataclass(frozen=True, slots=True)
class Type:
    """A resource, a datatype, or a part of one (``Patient.contact``), with what it inherits."""

    name: str
    ancestors: tuple[str, ...]
    elements: Mapping[str, Element]  # by name
    keys: Mapping[str, tuple[Element, str]]  # JSON key → its element and type

    @property
    def is_resource(self) -> bool:
        return self.name == "Resource" or "Resource" in self.ancestors


class Definitions:
    """One version of FHIR.  Immutable in effect: what is worked out is only remembered."""

    def __init__(self, version: str, text: str) -> None:
        self.version = version
        self._blocks: dict[str, str] = {}
        self._primitives: dict[str, str] = {}
        self._codes: dict[str, str] = {}
        for block in text.rstrip("\n").split("\n\n"):
            kind, _, rest = block.partition(" ")
            name, _, body = rest.partition(" ")
            if kind == "codes":
                self._codes[name] = block
            elif kind == "primitive":
                self._primitives[name] = body.strip()
            elif not kind.startswith("#"):
                self._blocks[kind.partition("\n")[0]] = block
        self._types: dict[str, Type] = {}
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._sets: dict[str, Mapping[str, frozenset[str]]] = {}
        self._resources: frozenset[str] | None = None

    def type(self, name: str) -> Type | None:
        """The type of this name; None for primitives and what there is not."""
        found = self._types.get(name)
        if found is None and name in self._blocks:
            found = self._types[name] = self._read(name)
        return found

    def resource(self, name: str) -> Type | None:
        """The resource type that an instance may have; None for abstract ones and datatypes."""
        return self.type(name) if name in self.resources else None

    @property
    def resources(self) -> frozenset[str]:
        """Names of all resource types but the abstract ones."""
        if self._resources is None:
            bases = {name: _base(block) for name, block in self._blocks.items()}
            found = {"Resource"}
            while more := {name for name, base in bases.items() if base in found} - found:
                found |= more
            self._resources = frozenset(found - set(bases.values()))
        return self._resources

    def primitive(self, name: str) -> re.Pattern[str] | None:
        """What the text of a primitive looks like; None when this is no primitive."""
        found = self._patterns.get(name)
        if found is None and name in self._primitives:
            found = self._patterns[name] = re.compile(self._primitives[name])
        return found

    def is_primitive(self, name: str) -> bool:
        return name in self._primitives

    def codes(self, name: str) -> Mapping[str, frozenset[str]]:
        """The codes of a required binding, by system; ``-`` is a system that is not told."""
        found = self._sets.get(name)
        if found is None:
            by_system: dict[str, frozenset[str]] = {}
            for line in self._codes[name].split("\n"):
                _, _, system, *codes = line.split(" ")
                by_system[system] = by_system.get(system, frozenset()) | frozenset(codes)
            found = self._sets[name] = by_system
        return found

    def all_codes(self, name: str) -> frozenset[str]:
        return frozenset().union(*self.codes(name).values())

    def types(self) -> tuple[str, ...]:
        """The names of all types and parts."""
        return tuple(self._blocks)

    def _read(self, name: str) -> Type:
        head, *lines = self._blocks[name].split("\n")
        base_name = _base(head)
        base = self.type(base_name) if base_name else None
        elements: dict[str, Element] = dict(base.elements) if base is not None else {}
        for line in lines:
            element = _element(line)
            elements[element.name] = element
        keys = {
            key: (element, kind)
            for element in elements.values()
            for key, kind in zip(element.keys, element.types, strict=True)
        }
        ancestors = (base.name, *base.ancestors) if base is not None else ()
        return Type(name, ancestors, elements, keys)


def _base(block: str) -> str:
    return block.partition("\n")[0].partition(" : ")[2]


def _element(line: str) -> Element:
    name, cardinality, *kinds = line.split()
    binding = None
    if kinds[-1].startswith("!"):
        binding = kinds.pop()[1:]
    targets: set[str] = set()
    anything = False
    types: list[str] = []
    for kind in kinds:
        bare, _, inside = kind.partition("(")
        types.append(bare)
        if bare == "Reference":
            anything = anything or not inside
            targets.update(inside.rstrip(")").split(",") if inside else ())
    least, _, most = cardinality.partition("..")
    return Element(
        name.removesuffix("[x]"),
        least != "0",
        most != "1",
        name.endswith("[x]"),
        tuple(types),
        frozenset() if anything else frozenset(targets),
        binding,
    )


@cache
def definitions(version: str) -> Definitions:
    """The table of a version of `VERSIONS`.  Raises KeyError for another one."""
    if version not in VERSIONS:
        raise KeyError(version)
    path = Path(__file__).with_name(f"{version.lower()}.txt")
    return Definitions(version, path.read_text("utf-8"))
