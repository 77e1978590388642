"""Code tables that stand in files of their own: CSV, or a FHIR ConceptMap in JSON.

``file: codes/wards.csv`` in a table names a file below ``mappings/``.  Its rows take the place of
``file:`` before anything is compiled, so the rest of the language knows rows only.  Rows that the
table writes itself win over those of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from engine.syntax import Diagnostics, Mapping, Node, Position, Scalar
from engine.syntax.nearest import did_you_mean

Attachments = Callable[[str], bytes | None]
"""The content of a file below ``mappings/`` by its path there; None when there is none."""

MAX_ROWS: Final = 50_000
_COLUMNS: Final = ("from", "to", "display", "system")
_NO_MATCH: Final = frozenset({"unmatched", "disjoint", "not-related-to"})
_BEST: Final = frozenset({"equal", "equivalent"})


class _Unusable(Exception):
    """Why a file is no code table, for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class _Row:
    given: str
    code: str
    display: str = ""
    system: str = ""


def with_table_files(root: Node, attached: Attachments, diagnostics: Diagnostics) -> Node:
    """The mapping file with the rows of its tables' files in it; ``root`` itself when no table
    has one.  A file that is missing or unusable is M206."""
    if not isinstance(root, Mapping):
        return root
    tables = root.get("tables")
    if not isinstance(tables, Mapping) or not any(_file(table) for _, table in tables.entries):
        return root
    filled = Mapping(
        tuple((key, _filled(table, attached, diagnostics)) for key, table in tables.entries),
        tables.position,
    )
    entries = tuple((key, filled if node is tables else node) for key, node in root.entries)
    return Mapping(entries, root.position)


def _file(table: Node) -> Scalar | None:
    found = table.get("file") if isinstance(table, Mapping) else None
    return found if isinstance(found, Scalar) else None


def _filled(table: Node, attached: Attachments, diagnostics: Diagnostics) -> Node:
    place = _file(table)
    if place is None or not isinstance(table, Mapping):
        return table
    rest = [(key, node) for key, node in table.entries if key.text not in ("file", "rows")]
    named = {key.text: node.text for key, node in rest if isinstance(node, Scalar)}
    try:
        body = attached(place.text)
        if body is None:
            raise _Unusable("there is no such file below mappings/")
        found = _read(place.text, body, named.get("from"))
    except _Unusable as problem:
        diagnostics.at("M206", place, f"'{place.text}': {problem}", help=_HELP)
        found = _Found([])
    own = table.get("rows")
    rows: dict[str, tuple[Scalar, Node]] = {
        row.given: (_text(row.given, place.position), _row(row, place.position))
        for row in found.rows
    }
    for key, node in own.entries if isinstance(own, Mapping) else ():
        rows[key.text] = (key, node)
    for name, text in (("to", found.target), ("unmapped", found.unmapped)):
        if text and name not in named:
            rest.append((_text(name, place.position), _text(text, place.position, quoted=False)))
    content = Mapping(tuple(rows.values()), own.position if own else place.position)
    return Mapping((*rest, (_text("rows", place.position), content)), table.position)


_HELP: Final = "a CSV with the columns from, to and maybe display, system; or a ConceptMap in JSON"


@dataclass(frozen=True, slots=True)
class _Found:
    rows: list[_Row]
    target: str = ""
    unmapped: str = ""


def _read(name: str, body: bytes, source: str | None) -> _Found:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Unusable("it is not UTF-8") from None
    found = _concept_map(text, source) if name.endswith(".json") else _Found(list(_csv(text)))
    if len(found.rows) > MAX_ROWS:
        raise _Unusable(f"it has more than {MAX_ROWS:,} rows")
    return found


def _csv(text: str) -> Iterator[_Row]:
    try:
        lines = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
    except csv.Error as error:
        raise _Unusable(f"it is no CSV: {error}") from None
    columns = list(lines[0]) if lines else []
    for column in columns:
        if column not in _COLUMNS:
            hint = did_you_mean(column or "", _COLUMNS) or f"known are {', '.join(_COLUMNS)}"
            raise _Unusable(f"unknown column '{column}'; {hint}")
    if "from" not in columns or "to" not in columns:
        raise _Unusable("it has no columns 'from' and 'to' with rows below them")
    seen: set[str] = set()
    for number, line in enumerate(lines, start=2):
        row = _Row(*((line.get(column) or "").strip() for column in _COLUMNS))
        if not row.given or not row.code:
            raise _Unusable(f"row {number} lacks a code")
        if row.given in seen:
            raise _Unusable(f"row {number} repeats a code")
        seen.add(row.given)
        yield row


def _concept_map(text: str, source: str | None) -> _Found:
    """R4's and R5's ConceptMap.  ``source`` is the table's ``from:``, which chooses the group."""
    try:
        resource = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _Unusable("it is no JSON") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != "ConceptMap":
        raise _Unusable("it is no ConceptMap")
    groups = [group for group in resource.get("group") or () if isinstance(group, dict)]
    if source is not None:
        groups = [group for group in groups if group.get("source") in (source, None)]
    if not groups:
        raise _Unusable(
            "it has no group" + (" with the source that 'from:' names" if source else "")
        )
    targets = {str(group.get("target") or "") for group in groups}
    one = targets.pop() if len(targets) == 1 else ""
    rows: dict[str, _Row] = {}
    for group in groups:
        system = "" if one else str(group.get("target") or "")
        for element in group.get("element") or ():
            best = _best(element.get("target") or ())
            code = element.get("code")
            if best is not None and isinstance(code, str) and code:
                row = _Row(code, str(best["code"]), str(best.get("display") or ""), system)
                rows.setdefault(code, row)
    return _Found(list(rows.values()), one, _unmapped(groups[0].get("unmapped")))


def _best(targets: Any) -> dict[str, Any] | None:
    """The target that means the same, else the first that means anything like it."""
    fitting = [
        target
        for target in targets
        if target.get("code")
        and (target.get("equivalence") or target.get("relationship")) not in _NO_MATCH
    ]
    for target in fitting:
        if (target.get("equivalence") or target.get("relationship")) in _BEST:
            return dict(target)
    return dict(fitting[0]) if fitting else None


def _unmapped(rule: Any) -> str:
    """The table's ``unmapped:`` for ConceptMap.group.unmapped; empty when it says nothing."""
    mode = rule.get("mode") if isinstance(rule, dict) else None
    if mode in ("provided", "use-source-code"):
        return "pass"
    code = rule.get("code") if mode == "fixed" else None
    return "= '" + code.replace("'", r"\'") + "'" if isinstance(code, str) else ""


def _row(row: _Row, position: Position) -> Node:
    if not row.display and not row.system:
        return _text(row.code, position)
    parts = [("code", row.code), ("display", row.display), ("system", row.system)]
    return Mapping(
        tuple((_text(name, position), _text(text, position)) for name, text in parts if text),
        position,
    )


def _text(text: str, position: Position, *, quoted: bool = True) -> Scalar:
    # A code may begin with '=', which a row would take for an expression.
    return Scalar(f"={text}" if quoted and text.startswith("=") else text, quoted, position)
