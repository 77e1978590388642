"""Single values of a FHIR output against FHIR's definitions: literals and their formats, codes,
what tables and maps give, references.

Of what an expression computes, little is known and nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from typing import Final

from engine.formats.fhir.definitions import Definitions, Element
from engine.formats.fhir.primitives import primitive_check
from engine.mapping.ast import Call, Literal
from engine.mapping.fhir_shapes import Shapes, gives_text, literal_argument, results
from engine.mapping.grammar import is_expression, parse_expression
from engine.mapping.tables import Table, literal_text
from engine.syntax import Diagnostics, Mapping, Scalar
from engine.syntax.nearest import did_you_mean, nearest

_NUMBERS: Final = ("decimal", "integer", "positiveInt", "unsignedInt", "integer64")


class ValueChecker:
    """Checks the values of one file.  ``format`` is that of its source."""

    def __init__(
        self,
        definitions: Definitions,
        diagnostics: Diagnostics,
        shapes: Shapes,
        tables: Dictionary[str, Table],
        format: str,
    ) -> None:
        self._definitions, self._diagnostics, self._tables = definitions, diagnostics, tables
        self._shapes, self._format = shapes, format

    def literal(self, scalar: Scalar, element: Element, type_name: str) -> None:
        if not self._definitions.is_primitive(type_name):
            self._diagnostics.at(
                "M712",
                scalar,
                f"'{element.name}' is {a_or_an(type_name)}, an object, and this is a text",
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
                "M713", scalar, f"'{element.name}' is {a_or_an(type_name)}: {problem}", help=help
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

    def expression(self, scalar: Scalar, element: Element, type_name: str) -> None:
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
                        f"'{element.name}' is {a_or_an(type_name)}, an object, and this is none",
                    )
            elif isinstance(result, Call):
                self._call(scalar, result, element, type_name)
            elif gives_text(result, self._format) and type_name in (*_NUMBERS, "boolean"):
                wanted = "boolean" if type_name == "boolean" else "number"
                self._diagnostics.at(
                    "M712",
                    scalar,
                    f"'{element.name}' is {a_or_an(type_name)}, and this path gives text",
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
                f"'{element.name}' is {a_or_an(type_name)}, and coding() gives a Coding",
                help="write coding: = list(…)" if type_name == "CodeableConcept" else None,
            )
        elif call.name == "each":
            self.used(scalar, name, type_name)
        elif call.name == "refer":
            if type_name != "Reference":
                self._diagnostics.at(
                    "M712",
                    scalar,
                    f"'{element.name}' is {a_or_an(type_name)}, and refer() gives a Reference",
                )
            else:
                self._target(scalar, self._shapes.map_type(name), element)

    def _table(self, scalar: Scalar, table: Table, element: Element, type_name: str) -> None:
        if not self._definitions.is_primitive(type_name):
            self._diagnostics.at(
                "M712",
                scalar,
                f"'{element.name}' is {a_or_an(type_name)}, an object, and a table gives a code",
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

    def used(self, place: Scalar, name: str, type_name: str) -> None:
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
            "M718",
            place,
            f"map '{name}' gives {a_or_an(given)}, and {a_or_an(type_name)} is wanted here",
        )

    # --- references ---------------------------------------------------------------------

    def reference(self, node: Mapping, element: Element) -> None:
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


def a_or_an(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOUaeio' else 'a'} {name}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdecimal()
