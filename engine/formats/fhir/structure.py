"""Whether a resource keeps to the definition of its type: elements, cardinalities, choices,
primitives, required bindings, the form of references (FHIR R4 2.6.2, 2.3.0.1, 4.1.3).

Invariants in FHIRPath and profiles are not looked at, but for those that hold a Bundle and its
references together (`engine.formats.fhir.links`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from engine.formats.fhir.definitions import Definitions, Element
from engine.formats.fhir.primitives import primitive_check
from engine.formats.findings import Finding

MOST_FINDINGS: Final = 200
"""More are not looked for: a document with so many is of another kind altogether."""

_DEPTH: Final = 200
_RELATIVE: Final = re.compile(
    r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?"
)
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]+)\?\S+")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")

Place: TypeAlias = "tuple[Place, str | int] | None"
"""A chain from the inside out: it becomes text only for a finding."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that was met, for what only the whole document can tell."""

    place: Place
    text: str = field(repr=False)
    targets: frozenset[str]
    container: dict[str, Any] = field(repr=False)  # the resource whose contained ones #id means


class Walk:
    """One walk over one resource.  ``findings`` and ``references`` are its result."""

    def __init__(self, definitions: Definitions) -> None:
        self.findings: list[Finding] = []
        self.references: list[Reference] = []
        self._definitions = definitions
        self._container: dict[str, Any] = {}

    def resource(self, value: Any, place: Place, depth: int = 0) -> None:
        if not isinstance(value, dict):
            self._add(place, "a resource is wanted")
            return
        name = value.get("resourceType")
        if not isinstance(name, str):
            self._add((place, "resourceType"), "a resource says its resourceType")
            return
        if self._definitions.resource(name) is None:
            self._add((place, "resourceType"), "there is no such resource type")
            return
        outer = self._container
        if place is None or not _is_contained(place):
            self._container = value
        self._object(value, name, place if place is not None else (None, name), depth)
        self._container = outer

    def _add(self, place: Place, problem: str) -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(written(place), problem))

    def _object(self, value: dict[str, Any], name: str, place: Place, depth: int) -> None:
        kind = self._definitions.type(name)
        if kind is None or depth > _DEPTH:
            self._add(place, "nested too deeply")
            return
        if not value:
            self._add(place, "an empty object is not allowed")
        keys = kind.keys
        seen: dict[str, str] = {}
        for key, below in value.items():
            if key == "resourceType" and kind.is_resource:
                continue
            known = keys.get(key)
            if known is not None:
                element, type_name = known
                seen_as = seen.setdefault(element.name, key)
                if seen_as != key:
                    self._add((place, key), f"only one of {element.name}[x] is allowed")
                self._value(value, key, below, element, type_name, place, depth)
            elif key[:1] == "_" and key[1:] in keys:
                element, type_name = keys[key[1:]]
                if not self._definitions.is_primitive(type_name):
                    self._add((place, key), "there is no such element")
                    continue
                seen.setdefault(element.name, key[1:])
                self._beside(value, key, below, element, place, depth)
            elif key == "fhir_comments":  # of earlier versions; not R4's
                self._add((place, key), "there is no such element")
            else:
                self._add(
                    (place, key if key.isidentifier() and len(key) < 60 else "?"),
                    "there is no such element",
                )
        for element in kind.elements.values():
            if element.required and element.name not in seen:
                shown = f"{element.name}[x]" if element.choice else element.name
                self._add((place, shown), "a required element is missing")
        if name == "Reference":
            return
        if name == "Extension" and ("value" in seen) == ("extension" in seen):
            self._add(place, "an extension has a value or extensions, and not both")

    def _value(
        self,
        holder: dict[str, Any],
        key: str,
        value: Any,
        element: Element,
        type_name: str,
        place: Place,
        depth: int,
    ) -> None:
        here: Place = (place, key)
        if not element.many:
            if isinstance(value, list):
                self._add(here, "a single value is wanted, not a list")
            else:
                self._single(value, element, type_name, here, depth)
            return
        if not isinstance(value, list):
            self._add(here, "a list is wanted")
            return
        if not value:
            self._add(here, "an empty list is not allowed")
        beside = holder.get(f"_{key}")
        for number, item in enumerate(value):
            if item is None and isinstance(beside, list):
                if number >= len(beside) or beside[number] is None:
                    self._add((here, number), "null stands for nothing here")
                continue
            self._single(item, element, type_name, (here, number), depth)

    def _single(
        self, value: Any, element: Element, type_name: str, place: Place, depth: int
    ) -> None:
        if self._definitions.is_primitive(type_name):
            if isinstance(value, dict | list):
                self._add(place, "a plain value is wanted")
                return
            problem = primitive_check(self._definitions, type_name)(value)
            if problem is not None:
                self._add(place, problem)
            elif (
                element.binding is not None
                and type_name == "code"
                and value not in self._definitions.all_codes(element.binding)
            ):
                self._add(place, f"the code is not in the required set {element.binding}")
            return
        if not isinstance(value, dict):
            self._add(place, f"{_with_article(type_name)} is wanted, which is an object")
            return
        if type_name == "Resource":
            self.resource(value, place, depth + 1)
            return
        if self._definitions.resource(type_name) is not None:
            self.resource(value, place, depth + 1)
            return
        self._object(value, type_name, place, depth + 1)
        if type_name == "Reference":
            self._reference(value, element, place)
        elif element.binding is not None and type_name == "CodeableConcept":
            self._bound(value, element.binding, place)

    def _beside(
        self,
        holder: dict[str, Any],
        key: str,
        value: Any,
        element: Element,
        place: Place,
        depth: int,
    ) -> None:
        """``_birthDate``: id and extensions of a primitive (R4 2.6.2.3)."""
        here: Place = (place, key)
        if not element.many:
            self._extras(value, here, depth)
            return
        if not isinstance(value, list) or not value:
            self._add(here, "a list is wanted")
            return
        beside = holder.get(key[1:])
        if isinstance(beside, list) and len(beside) != len(value):
            self._add(here, "it is as long as the list it belongs to")
        for number, item in enumerate(value):
            if item is not None:
                self._extras(item, (here, number), depth)

    def _extras(self, value: Any, place: Place, depth: int) -> None:
        if isinstance(value, dict):
            self._object(value, "Element", place, depth + 1)
        else:
            self._add(place, "an object with id and extension is wanted")

    def _bound(self, concept: dict[str, Any], binding: str, place: Place) -> None:
        codes = self._definitions.codes(binding)
        codings = concept.get("coding")
        for coding in codings if isinstance(codings, list) else ():
            if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                system = coding.get("system")
                if coding["code"] in codes.get(system if isinstance(system, str) else "", ()):
                    return
        if "extension" in concept and not codings:
            return  # a data-absent-reason stands for it
        self._add(place, f"no coding is in the required set {binding}")

    def _reference(self, value: dict[str, Any], element: Element, place: Place) -> None:
        text, kind = value.get("reference"), value.get("type")
        targets = element.targets
        named = isinstance(kind, str) and kind in self._definitions.resources
        if targets and named and kind not in targets:
            self._add((place, "type"), wanted(targets))
        if not isinstance(text, str) or not text:
            return
        if text[0] == "#":
            self.references.append(Reference((place, "reference"), text, targets, self._container))
            return
        relative = _RELATIVE.fullmatch(text) or _CONDITIONAL.fullmatch(text)
        if relative is not None:
            if relative[1] not in self._definitions.resources:
                self._add((place, "reference"), "there is no such resource type")
            elif targets and relative[1] not in targets:
                self._add((place, "reference"), wanted(targets))
            return
        if _ABSOLUTE.fullmatch(text) is None:
            self._add((place, "reference"), "a reference is Type/id, a URL, a URN or #id")
            return
        self.references.append(Reference((place, "reference"), text, targets, self._container))


def _is_contained(place: tuple[Place, str | int]) -> bool:
    """``contained[0]``, in whatever resource."""
    outer = place[0]
    return outer is not None and outer[1] == "contained"


def wanted(targets: frozenset[str]) -> str:
    """What a reference to the wrong type is told."""
    return f"a reference to {' or '.join(sorted(targets))} is wanted"


def written(place: Place) -> str:
    """``Patient.name[0].family``."""
    parts: list[str] = []
    while place is not None:
        place, step = place
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(parts)).removeprefix(".")


def _with_article(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"
