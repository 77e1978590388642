"""Checks of a FHIR output tree against FHIR's definitions, when a mapping is compiled.

The tree is walked beside the definition of its type.  Only what is wrong whatever a message holds
is an error (M710 to M718); of what an expression computes, little is known and nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from typing import Final

from engine.formats.fhir.definitions import Definitions, Element, Type
from engine.mapping.fhir_shapes import (
    SPREADS,
    Shapes,
    has_content,
)
from engine.mapping.fhir_values import ValueChecker, a_or_an
from engine.mapping.grammar import is_expression
from engine.mapping.mapfile import MapDefinition
from engine.mapping.tables import Table
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

_COMPLETED: Final = {("Bundle.entry.request", "url")}
"""What the end of a run fills in (`engine.mapping.bundles`)."""


class FhirChecker:
    """Checks the nodes of one file.  ``format`` is that of its source; ``whole`` is false for a
    library: who uses its maps, or lays an overlay over them, may add what they lack."""

    def __init__(
        self,
        definitions: Definitions,
        diagnostics: Diagnostics,
        maps: Dictionary[str, MapDefinition],
        tables: Dictionary[str, Table],
        format: str,
        *,
        whole: bool,
    ) -> None:
        self._whole = whole
        self._definitions, self._diagnostics = definitions, diagnostics
        self._shapes = Shapes(definitions, maps)
        self._values = ValueChecker(definitions, diagnostics, self._shapes, tables, format)

    def mapping(self, out: Node, resource: str | None) -> None:
        """The output of a mapping whose target says ``resource:``, if it does."""
        given = self._shapes.resource_type(out)
        if resource is not None and given is not None and resource != given:
            place = out.get("resourceType") if isinstance(out, Mapping) else None
            self._diagnostics.at(
                "M718", place or out, f"a {given} is given, and 'to' says {resource}"
            )
        kind = self._resource(given or resource, out)
        if kind is not None and isinstance(out, Mapping):
            self._object(out, kind, sure=True)

    def map(self, definition: MapDefinition) -> None:
        """A map that declares its type, or whose output has a literal resourceType."""
        name = self._shapes.map_type(definition.name)
        if name is None:
            return
        if definition.type is not None and self._definitions.is_primitive(name):
            return
        kind = self._definitions.type(name)
        if definition.type is not None and kind is None:
            self._diagnostics.at(
                "M718",
                definition.type,
                f"there is no FHIR type '{name}'",
                help=did_you_mean(name, self._definitions.types()),
            )
            return
        if definition.type is None:
            kind = self._resource(name, definition.out)
        out = definition.out
        for node in out.items if isinstance(out, Sequence) else (out,):
            if kind is not None and isinstance(node, Mapping):
                self._object(node, kind, sure=False)

    def _resource(self, name: str | None, node: Node) -> Type | None:
        """The resource type of this name; a diagnostic when there is none."""
        if name is None:
            return None
        kind = self._definitions.resource(name)
        if kind is None:
            given = node.get("resourceType") if isinstance(node, Mapping) else None
            self._diagnostics.at(
                "M717",
                given or node,
                f"there is no FHIR resource '{name}'",
                help=did_you_mean(name, self._definitions.resources),
            )
        return kind

    # --- objects ------------------------------------------------------------------------

    def _object(self, node: Mapping, kind: Type, *, sure: bool) -> None:
        """``sure``: nothing else will be merged with it, so that what is missing is missing."""
        spelt: dict[str, tuple[str, Node]] = {}
        for key, value in node.entries:
            name = key.text
            if name.startswith("$") or (name == "resourceType" and kind.is_resource):
                continue
            found = kind.keys.get(name)
            if found is not None:
                element, type_name = found
                other, given = spelt.setdefault(element.name, (name, value))
                if other != name and (_is_always(given) or _is_always(value)):
                    self._diagnostics.at(
                        "M711",
                        key,
                        f"'{other}' stands here already: only one of {element.name}[x] is allowed",
                    )
                self._value(value, element, type_name, sure=sure)
            elif not (name[:1] == "_" and self._is_primitive_key(kind, name[1:])):
                self._unknown(key, kind)
        self._spreads(node, kind)
        if sure and self._whole:
            self._required(node, kind)

    def _is_primitive_key(self, kind: Type, name: str) -> bool:
        found = kind.keys.get(name)
        return found is not None and self._definitions.is_primitive(found[1])

    def _unknown(self, key: Scalar, kind: Type) -> None:
        choice = kind.elements.get(key.text)
        if choice is not None and choice.choice:
            several = ", ".join(choice.keys[:6]) + (", …" if len(choice.keys) > 6 else "")
            help: str | None = f"write its type with it: {several}"
        else:
            help = did_you_mean(key.text, kind.keys)
        self._diagnostics.at("M710", key, f"{kind.name} has no element '{key.text}'", help=help)

    def _spreads(self, node: Mapping, kind: Type) -> None:
        """What directives merge into an object of this type."""
        used = node.get("$use")
        if isinstance(used, Scalar):
            self._values.used(used, used.text, kind.name)
        for part in self._shapes.parts(node):
            if part is not used and not self._is_map(part, node):
                self._alternative(part, kind)

    def _is_map(self, part: Node, node: Mapping) -> bool:
        used = node.get("$use")
        definition = self._shapes.maps.get(used.text) if isinstance(used, Scalar) else None
        return definition is not None and definition.out is part

    def _alternative(self, part: Node, kind: Type) -> None:
        if isinstance(part, Mapping):
            self._object(part, kind, sure=False)
        elif isinstance(part, Scalar) and not is_expression(part.text) and part.text:
            self._diagnostics.at("M712", part, f"{a_or_an(kind.name)} is an object, not a text")

    def _required(self, node: Mapping, kind: Type) -> None:
        keys = self._shapes.keys(node)
        if not keys.all:
            return
        for element in kind.elements.values():
            if not element.required or (kind.name, element.name) in _COMPLETED:
                continue
            if not any(key in keys.names or f"_{key}" in keys.names for key in element.keys):
                shown = f"{element.name}[x]" if element.choice else element.name
                self._diagnostics.at(
                    "M715",
                    node.entries[0][0] if node.entries else node,
                    f"{a_or_an(kind.name)} needs '{shown}'",
                )

    # --- values -------------------------------------------------------------------------

    def _value(self, node: Node, element: Element, type_name: str, *, sure: bool) -> None:
        """What is written at an element."""
        if isinstance(node, Sequence):
            if not element.many:
                self._diagnostics.at(
                    "M711",
                    node.items[0] if node.items else node,
                    f"'{element.name}' is a single value, not a list",
                    help="write it without '- '",
                )
                return
            for item in node.items:
                self._item(item, element, type_name)
            return
        if isinstance(node, Mapping) and element.many:
            if has_content(node):
                self._diagnostics.at(
                    "M711",
                    node.entries[0][0],
                    f"'{element.name}' is a list",
                    help="write its entry with '- '",
                )
                return
            used = node.get("$use")
            if isinstance(used, Scalar):
                self._values.used(used, used.text, type_name)
                return
            for part in self._shapes.parts(node):
                self._value(part, element, type_name, sure=False)
            return
        if isinstance(node, Scalar) and element.many and node.text and not is_expression(node.text):
            self._diagnostics.at(
                "M711", node, f"'{element.name}' is a list", help="write its entry with '- '"
            )
            return
        self._single(node, element, type_name, sure=sure)

    def _item(self, node: Node, element: Element, type_name: str) -> None:
        if isinstance(node, Sequence):
            self._diagnostics.at(
                "M711", node, f"an entry of '{element.name}' is no list", help="write '- ' once"
            )
            return
        self._single(node, element, type_name, sure=True)

    def _single(self, node: Node, element: Element, type_name: str, *, sure: bool) -> None:
        if isinstance(node, Sequence):
            return
        if isinstance(node, Scalar):
            if is_expression(node.text):
                self._values.expression(node, element, type_name)
            elif node.text or node.quoted:
                self._values.literal(node, element, type_name)
            return
        if self._definitions.is_primitive(type_name):
            self._primitive_object(node, element, type_name)
            return
        kind = self._definitions.type(type_name)
        if type_name == "Resource" or (kind is not None and kind.is_resource):
            kind = self._resource(self._shapes.resource_type(node), node)
        if kind is None:
            return
        if type_name == "Reference":
            self._values.reference(node, element)
        content = has_content(node) or not any(key in node for key in SPREADS)
        if content or not any(key in node for key in ("$case", "$first")):
            self._object(node, kind, sure=sure)
            return
        # Only alternatives: each is the whole object.
        for part in self._shapes.parts(node):
            self._single(part, element, type_name, sure=False)

    def _primitive_object(self, node: Mapping, element: Element, type_name: str) -> None:
        if has_content(node):
            first = next(key for key, _ in node.entries if not key.text.startswith("$"))
            self._diagnostics.at(
                "M712", first, f"'{element.name}' is a plain value of type {type_name}, no object"
            )
            return
        used = node.get("$use")
        if isinstance(used, Scalar):
            self._values.used(used, used.text, type_name)
            return
        for part in self._shapes.parts(node):
            self._single(part, element, type_name, sure=False)


def _is_always(node: Node) -> bool:
    """Literal text: expressions may well exclude each other."""
    return isinstance(node, Scalar) and bool(node.text) and not is_expression(node.text)
