"""Code tables: rows, what an unmapped code means, and the way back.

::

    AdministrativeSex:
      from: http://terminology.hl7.org/CodeSystem/v2-0001     # documentation, optional
      to: http://hl7.org/fhir/administrative-gender           # the system that coding() writes
      unmapped: = 'unknown'                                   # error | pass | drop | = expression
      rows: {F: female, M: male, O: {code: other, display: Other}}
      reverse: {unknown: U}                                   # where rows cannot be inverted
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.mapping.failures import failed
from engine.mapping.grammar import is_expression
from engine.mapping.runstate import UNMAPPED, Code, Run
from engine.syntax import Diagnostics, Mapping, Node, Position, Scalar
from engine.syntax.nearest import did_you_mean

_KEYS: Final = ("from", "to", "unmapped", "rows", "reverse")
_POLICIES: Final = ("error", "pass", "drop")


@dataclass(frozen=True, slots=True)
class Row:
    code: str
    display: str | None = None
    system: str | None = None  # where it is not that of the table


@dataclass(frozen=True, slots=True)
class Table:
    """``unmapped`` is ``error``, ``pass``, ``drop`` or ``=`` (then ``expression`` says what)."""

    name: str
    rows: dict[str, Row]
    unmapped: str
    expression: Scalar | None
    reverse: dict[str, str]
    to: str | None
    position: Position

    def unknown(self, text: str, where: str, run: Run, otherwise: Code) -> Any:
        """What the policy gives for a code without a row.  Raises MappingError (R201)."""
        if self.unmapped == "pass":
            return text
        if self.unmapped == "=":
            run[UNMAPPED] = text
            return otherwise(run)
        if self.unmapped == "drop":
            return None
        raise failed(
            "R201",
            where,
            f"code not in table {self.name}",
            "add a row, or say what an unmapped code means",
        )

    def reversed(self) -> tuple[dict[str, str], list[str]]:
        """The rows backwards, and the values for which several rows compete."""
        found = dict(self.reverse)
        seen: dict[str, str] = {}
        ambiguous = []
        for code, row in self.rows.items():
            if row.code in self.reverse:
                continue
            if row.code in seen:
                ambiguous.append(row.code)
            seen.setdefault(row.code, code)
        return seen | found, ambiguous


def read_table(name: str, node: Node, diagnostics: Diagnostics, key: Scalar) -> Table | None:
    """A table as it is written, or None after a diagnostic."""
    if not isinstance(node, Mapping):
        diagnostics.at("M001", node, "a table is a mapping", help="{unmapped: …, rows: {…}}")
        return None
    for entry, _ in node.entries:
        if entry.text not in _KEYS:
            help = did_you_mean(entry.text, _KEYS)
            diagnostics.at("M002", entry, f"unknown key '{entry.text}' in a table", help=help)
    unmapped = node.get("unmapped")
    policy, expression = "error", None
    if unmapped is None:
        diagnostics.at(
            "M201",
            key,
            "a table must say what to do with an unmapped code",
            help="add 'unmapped: error | pass | drop | = expression'",
        )
    elif isinstance(unmapped, Scalar) and unmapped.text in _POLICIES:
        policy = unmapped.text
    elif isinstance(unmapped, Scalar) and is_expression(unmapped.text):
        policy, expression = "=", unmapped
    else:
        diagnostics.at(
            "M203",
            unmapped,
            "'unmapped' is error, pass, drop or an expression",
            help=f"write = '{unmapped.text}'" if isinstance(unmapped, Scalar) else None,
        )
    rows: dict[str, Row] = {}
    given = node.get("rows")
    if not isinstance(given, Mapping):
        diagnostics.at("M204", given or key, "a table has rows", help="rows: {F: female, …}")
    for code, value in given.entries if isinstance(given, Mapping) else ():
        row = _row(value, diagnostics)
        if row is not None:
            rows[code.text] = row
    reverse: dict[str, str] = {}
    back = node.get("reverse")
    if back is not None:
        for code, value in back.entries if isinstance(back, Mapping) else ():
            if isinstance(value, Scalar):
                reverse[code.text] = value.text
    to = node.get("to")
    target = to.text if isinstance(to, Scalar) else None
    return Table(name, rows, policy, expression, reverse, target, key.position)


def _row(value: Node, diagnostics: Diagnostics) -> Row | None:
    if isinstance(value, Scalar):
        if is_expression(value.text):
            diagnostics.at("M204", value, "a row is a literal", help="only 'unmapped' computes")
            return None
        return Row(literal_text(value.text))
    if isinstance(value, Mapping):
        texts = {key.text: part.text for key, part in value.entries if isinstance(part, Scalar)}
        if "code" in texts and set(texts) <= {"code", "display", "system"}:
            return Row(texts["code"], texts.get("display"), texts.get("system"))
    diagnostics.at("M204", value, "a row gives a code, or {code: …, display: …, system: …}")
    return None


def literal_text(text: str) -> str:
    """A literal of the file: ``==`` stands for a leading ``=``."""
    return text[1:] if text.startswith("==") else text
