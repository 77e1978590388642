"""Checks of a FHIR output tree against FHIR's definitions, when a mapping is compiled.

The tree is walked beside the definition of its type.  Only what is wrong whatever a message holds
is an error (M710 to M718); of what an expression computes, little is known and nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from typing import Final

from engine.formats.fhir.definitions import Definitions, Element, Type
from engine.formats.fhir.primitives import primitive_check
from engine.mapping.ast import Call, Literal
from engine.mapping.fhir_shapes import (
    SPREADS,
    Shapes,
    gives_text,
    has_content,
    literal_argument,
    results,
)
from engine.mapping.grammar import is_expression, parse_expression
from engine.mapping.mapfile import MapDefinition
from engine.mapping.tables import Table, literal_text
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean, nearest

_NUMBERS: Final = ("decimal", "integer", "positiveInt", "unsignedInt", "integer64")
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
        self._definitions, self._diagnostics, self._tables = definitions, diagnostics, tables
        self._format = format
        self._shapes = Shapes(definitions, maps)

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
            self._used(used, used.text, kind.name)
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
            self._diagnostics.at("M712", part, f"{_a(kind.name)} is an object, not a text")

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
                    f"{_a(kind.name)} needs '{shown}'",
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
                self._used(used, used.text, type_name)
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
                self._expression(node, element, type_name)
            elif node.text or node.quoted:
                self._literal(node, element, type_name)
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
            self._reference(node, element)
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
            self._used(used, used.text, type_name)
            return
        for part in self._shapes.parts(node):
            self._single(part, element, type_name, sure=False)

    # --- literals and expressions -------------------------------------------------------

    def _literal(self, scalar: Scalar, element: Element, type_name: str) -> None:
        if not self._definitions.is_primitive(type_name):
            self._diagnostics.at(
                "M712",
                scalar,
                f"'{element.name}' is {_a(type_name)}, an object, and this is a text",
            )
            return
        text = literal_text(scalar.text)
        plain = not scalar.quoted and not scalar.block
        value = {"true": True, "false": False}.get(text, text) if plain else text
        self._text(scalar, value, element, type_name)

    def _text(self, scalar: Scalar, value: object, element: Element, type_name: str) -> None:
        problem = primitive_check(self._definitions, type_name)(value)
        if problem is not None:
            help = None
            if type_name in _NUMBERS and isinstance(value, str):
                help = f"write = {scalar.text}" if _is_number(scalar.text) else None
            elif type_name == "boolean" and value in ("true", "false"):
                help = "write it without quotes"
            self._diagnostics.at(
                "M713", scalar, f"'{element.name}' is {_a(type_name)}: {problem}", help=help
            )
        elif element.binding is not None and type_name == "code":
            self._code(scalar, str(value), element, "")

    def _code(self, scalar: Scalar, code: str, element: Element, origin: str) -> None:
        assert element.binding is not None  # noqa: S101
        codes = self._definitions.all_codes(element.binding)
        if code in codes:
            return
        near = nearest(code, codes)
        help = f"did you mean '{near}'?" if near else None
        if help is None and len(codes) <= 12:
            help = f"one of {', '.join(sorted(codes))}"
        self._diagnostics.at(
            "M714", scalar, f"'{code}'{origin} is no code for '{element.name}'", help=help
        )

    def _expression(self, scalar: Scalar, element: Element, type_name: str) -> None:
        tree = parse_expression(scalar, self._format, Diagnostics())
        if tree is None:
            return
        primitive = self._definitions.is_primitive(type_name)
        for result in results(tree):
            if isinstance(result, Literal):
                if primitive:
                    self._text(scalar, result.value, element, type_name)
                else:
                    self._diagnostics.at(
                        "M712",
                        scalar,
                        f"'{element.name}' is {_a(type_name)}, an object, and this is none",
                    )
            elif isinstance(result, Call):
                self._call(scalar, result, element, type_name)
            elif gives_text(result, self._format) and type_name in (*_NUMBERS, "boolean"):
                wanted = "boolean" if type_name == "boolean" else "number"
                self._diagnostics.at(
                    "M712",
                    scalar,
                    f"'{element.name}' is {_a(type_name)}, and this path gives text",
                    help=f"write | {wanted} after it",
                )

    def _call(self, scalar: Scalar, call: Call, element: Element, type_name: str) -> None:
        name = literal_argument(call)
        if name is None:
            return
        if call.name == "table" and name in self._tables:
            self._table(scalar, self._tables[name], element, type_name)
        elif call.name == "coding" and type_name not in ("Coding",):
            self._diagnostics.at(
                "M712",
                scalar,
                f"'{element.name}' is {_a(type_name)}, and coding() gives a Coding",
                help="write coding: = list(…)" if type_name == "CodeableConcept" else None,
            )
        elif call.name == "each":
            self._used(scalar, name, type_name)
        elif call.name == "refer":
            if type_name != "Reference":
                self._diagnostics.at(
                    "M712",
                    scalar,
                    f"'{element.name}' is {_a(type_name)}, and refer() gives a Reference",
                )
            else:
                self._target(scalar, self._shapes.map_type(name), element)

    def _table(self, scalar: Scalar, table: Table, element: Element, type_name: str) -> None:
        if not self._definitions.is_primitive(type_name):
            self._diagnostics.at(
                "M712",
                scalar,
                f"'{element.name}' is {_a(type_name)}, an object, and a table gives a code",
            )
            return
        if element.binding is None or type_name != "code":
            return
        given = [row.code for row in table.rows.values()]
        otherwise = table.expression
        if otherwise is not None:
            tree = parse_expression(otherwise, self._format, Diagnostics())
            found = results(tree) if tree is not None else ()
            given += [str(one.value) for one in found if isinstance(one, Literal)]
        for code in dict.fromkeys(given):
            self._code(scalar, code, element, f" of table {table.name}")

    def _used(self, place: Scalar, name: str, type_name: str) -> None:
        """A map is used where a type is wanted."""
        given = self._shapes.map_type(name)
        if given is None or given == type_name:
            return
        kind = self._definitions.type(given)
        if kind is not None and (type_name in kind.ancestors or type_name in ("Element", "Base")):
            return
        wanted = self._definitions.type(type_name)
        if wanted is not None and given in wanted.ancestors:
            return  # a Quantity where an Age is wanted, an Element as a part
        if kind is None and not self._definitions.is_primitive(given):
            return  # said where the map is
        self._diagnostics.at(
            "M718", place, f"map '{name}' gives {_a(given)}, and {_a(type_name)} is wanted here"
        )

    # --- references ---------------------------------------------------------------------

    def _reference(self, node: Mapping, element: Element) -> None:
        referred = node.get("$refer")
        if isinstance(referred, Scalar):
            self._target(referred, self._shapes.map_type(referred.text), element)
        kind = node.get("type")
        if isinstance(kind, Scalar) and not is_expression(kind.text):
            self._target(kind, literal_text(kind.text), element)
        given = node.get("reference")
        if not isinstance(given, Scalar):
            return
        text = given.text
        if is_expression(text):
            tree = parse_expression(given, self._format, Diagnostics())
            if not isinstance(tree, Call) or tree.name not in ("concat", "concat_all"):
                return
            first = tree.arguments[0] if tree.arguments else None
            text = first.value if isinstance(first, Literal) else ""
            if not isinstance(text, str) or not text.endswith("/"):
                return
        name, slash, _ = text.partition("/")
        if slash and name.isalpha() and name[:1].isupper():
            self._target(given, name, element)

    def _target(self, place: Scalar, name: str | None, element: Element) -> None:
        if name is None or not element.targets or name in element.targets:
            return
        if name not in self._definitions.resources:
            self._diagnostics.at(
                "M717",
                place,
                f"there is no FHIR resource '{name}'",
                help=did_you_mean(name, self._definitions.resources),
            )
            return
        self._diagnostics.at(
            "M716",
            place,
            f"'{element.name}' refers to {' or '.join(sorted(element.targets))}, not to {name}",
        )


def _is_always(node: Node) -> bool:
    """Literal text: expressions may well exclude each other."""
    return isinstance(node, Scalar) and bool(node.text) and not is_expression(node.text)


def _a(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOUaeio' else 'a'} {name}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdecimal()
