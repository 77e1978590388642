"""Tests of mappings as engineers write them: ``mappings/NAME.test.yaml``.

::

    mapping: adt-to-fhir
    cases:
      - name: inpatient admission
        input: {file: samples/adt_a01.hl7}                   # or inline text
        params: {tenant: north}
        expect: {file: samples/adt_a01.json}                 # or inline
      - name: minimal message
        input: {base: inpatient admission, set: {PV1-2: O}}
        contains: {"entry[1].resource.gender": male}
        absent: ["entry[1].resource.deceasedBoolean"]
      - name: unknown class
        input: {base: inpatient admission, set: {PV1-2: Z}}
        error: {code: R201, rule: "entry[2].resource.class.code"}

``now`` is 2024-01-15T08:00:00Z in every case that does not say otherwise.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from engine.contract import ChannelName, Document, EngineError, MapContext, MessageId, Payload
from engine.formats import FORMATS, FhirDocument, JsonDocument, XmlDocument
from engine.formats.json import read_json
from engine.formats.null import NULL
from engine.mapping.ast import SEGMENTED
from engine.mapping.comparing import compared, lines_of, spelled
from engine.mapping.compiled import CompiledMapping
from engine.mapping.compiling import compile_expression
from engine.mapping.edits import WrongPath, edited
from engine.mapping.explain import plain, written_rules
from engine.mapping.tracing import Rule
from engine.mapping.values import text_of
from engine.syntax import (
    Diagnostics,
    Mapping,
    Node,
    Position,
    Scalar,
    Sequence,
    decode_yaml,
    read_yaml,
)
from engine.syntax.nearest import did_you_mean

_KEYS: Final = (
    "name", "input", "params", "now", "timezone", "channel", "expect", "contains", "absent",
    "error",
)  # fmt: skip
_NOW: Final = datetime(2024, 1, 15, 8, tzinfo=UTC)
_MAX_DIFF: Final = 80
_DOCUMENTS: Final[dict[str, Callable[[Any], Document]]] = {
    "fhir": FhirDocument,
    "json": JsonDocument,
}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """``problems`` are texts for a person: what was wanted, what came, a diff."""

    name: str
    position: Position
    problems: tuple[str, ...]
    updated: bool = False

    @property
    def passed(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class ExampleReport:
    """What the cases of one test file showed."""

    mapping: str
    cases: tuple[CaseResult, ...]
    rules: tuple[Rule, ...]
    """Those that count: of an overlay only its own, since its base has tests of its own."""
    written: frozenset[Rule]
    diagnostics: Diagnostics = field(compare=False)

    @property
    def passed(self) -> bool:
        return all(case.passed for case in self.cases) and not self.diagnostics.has_errors

    @property
    def never_wrote(self) -> tuple[Rule, ...]:
        """Rules that no case saw write a value, in the order of the file."""
        return tuple(rule for rule in self.rules if rule not in self.written)

    @property
    def coverage(self) -> float:
        """Share of the rules that wrote something, 0 to 1."""
        if not self.rules:
            return 1.0
        return 1 - len(self.never_wrote) / len(self.rules)


def run_examples(path: Path, mapping: CompiledMapping, *, update: bool = False) -> ExampleReport:
    """Run the cases of one test file; files they name are found beside it.

    ``update`` rewrites the files of ``expect: {file: …}`` that differ; nothing else is written.
    """
    diagnostics = Diagnostics()
    text = decode_yaml(path.read_bytes(), path.name, diagnostics)
    root = None if text is None else read_yaml(text, path.name, diagnostics)
    cases = root.get("cases") if isinstance(root, Mapping) else None
    if not isinstance(cases, Sequence):
        if not diagnostics.has_errors:
            place = Position(path.name, 1, 1) if root is None else root.position
            diagnostics.add("M901", place, "a test file has 'mapping' and a list of 'cases'")
        return ExampleReport(mapping.name, (), mapping.own_rules, frozenset(), diagnostics)
    traced = mapping.traced()
    runner = _Runner(path.parent, mapping, traced or mapping, update, diagnostics)
    results = [result for case in cases.items if (result := runner.run(case)) is not None]
    return ExampleReport(
        mapping.name, tuple(results), mapping.own_rules, frozenset(runner.written), diagnostics
    )


class _Runner:
    def __init__(
        self,
        folder: Path,
        mapping: CompiledMapping,
        traced: CompiledMapping,
        update: bool,
        diagnostics: Diagnostics,
    ) -> None:
        self.folder, self.mapping, self.traced = folder, mapping, traced
        self.update, self.diagnostics = update, diagnostics
        self.inputs: dict[str, Document] = {}
        self.written: set[Rule] = set()

    def run(self, case: Node) -> CaseResult | None:
        if not isinstance(case, Mapping) or not isinstance(case.get("name"), Scalar):
            self.diagnostics.at("M901", case, "a case is a mapping with a name")
            return None
        for key, _ in case.entries:
            if key.text not in _KEYS:
                help = did_you_mean(key.text, _KEYS)
                self.diagnostics.at("M901", key, f"unknown key '{key.text}'", help=help)
        name = _text(case, "name")
        document = self.document(case)
        if document is None:
            return CaseResult(name, case.position, ("its input cannot be read",))
        self.inputs[name] = document
        problems: list[str] = []
        updated = False
        try:
            tree = plain(self.trace(document, self.context(case)))
            output = self.mapping.written(tree)
        except EngineError as error:
            problems += self.compare_error(case, error)
        else:
            if case.get("error") is not None:
                problems.append("an error was expected, and the mapping gave an output")
            found, updated = self.compare_whole(case, output)
            problems += found
            problems += self.compare_parts(case, output)
        return CaseResult(name, case.position, tuple(problems), updated)

    def trace(self, document: Document, context: MapContext) -> Any:
        tree = self.traced.apply(document, context)
        self.written.update(written_rules(tree))
        return tree

    def context(self, case: Mapping) -> MapContext:
        given = case.get("params")
        params = (
            {key.text: value.text for key, value in given.entries if isinstance(value, Scalar)}
            if isinstance(given, Mapping)
            else {}
        )
        now = _NOW
        if _text(case, "now"):
            try:
                now = datetime.fromisoformat(_text(case, "now"))
            except ValueError:
                self.diagnostics.at("M901", case, "'now' is a time such as 2024-01-15T08:00:00Z")
            now = now if now.tzinfo else now.replace(tzinfo=UTC)
        channel = ChannelName(_text(case, "channel"))
        return MapContext(
            MessageId("example"), now, channel, params, _text(case, "timezone") or None
        )

    # --- the input ----------------------------------------------------------------------

    def document(self, case: Mapping) -> Document | None:
        given = case.get("input")
        if isinstance(given, Mapping) and isinstance(given.get("base"), Scalar):
            return self.derived(given)
        body = self.body(given)
        if body is None:
            self.diagnostics.at(
                "M901", given or case, "'input' is text, {file: …} or {base: …, set: {…}}"
            )
            return None
        return self.parsed(body, given or case)

    def parsed(self, body: bytes, node: Node) -> Document | None:
        try:
            return FORMATS[self.mapping.source_format].parse(Payload(body))
        except EngineError as error:
            self.diagnostics.at("M901", node, f"the input cannot be read: {error.info.summary}")
            return None

    def body(self, node: Node | None) -> bytes | None:
        if isinstance(node, Scalar):
            text = node.text
            if self.mapping.source_format in SEGMENTED:
                text = "\r".join(line.strip() for line in text.strip().splitlines()) + "\r"
            return text.encode()
        file = self.file(node)
        try:
            return None if file is None else file.read_bytes()
        except OSError:
            return None

    def file(self, node: Node | None) -> Path | None:
        name = node.get("file") if isinstance(node, Mapping) else None
        return self.folder / name.text if isinstance(name, Scalar) else None

    def derived(self, given: Mapping) -> Document | None:
        base, changes = given.get("base"), given.get("set")
        known = self.inputs.get(base.text) if isinstance(base, Scalar) else None
        if known is None:
            self.diagnostics.at(
                "M901",
                base or given,
                "no case above has this name",
                help=did_you_mean(_text(given, "base"), self.inputs),
            )
            return None
        document: Document = known
        for key, value in changes.entries if isinstance(changes, Mapping) else ():
            text = value.text if isinstance(value, Scalar) else ""
            try:
                put = NULL if text == '""' else text or None
                document = edited(document, key.text, put, self.mapping.source_layout)
            except (WrongPath, EngineError):
                self.diagnostics.at("M901", key, f"'{key.text}' cannot be set")
                return None
        return document

    # --- what is expected ---------------------------------------------------------------

    def compare_error(self, case: Mapping, error: EngineError) -> list[str]:
        wanted = case.get("error")
        if not isinstance(wanted, Mapping):
            return [f"{error} ({error.info.location})"]
        problems = []
        code = _text(wanted, "code")
        if code and code != error.info.code:
            problems.append(f"error {code} was expected, and {error} came")
        rule = _text(wanted, "rule")
        if rule:
            found = self.rule_at(error.info.location)
            if found != rule:
                problems.append(f"the error was expected at {rule}, and came from {found}")
        return problems

    def rule_at(self, location: str | None) -> str | None:
        """The rule whose line the error names."""
        file_line, _, column = (location or "").rpartition(":")
        best: Rule | None = None
        for rule in self.mapping.rules:
            place = rule.position
            if f"{place.file}:{place.line}" == file_line and place.column <= int(column or 0):
                best = rule
        return None if best is None else best.path

    def compare_whole(self, case: Mapping, output: Payload) -> tuple[list[str], bool]:
        wanted = case.get("expect")
        if wanted is None:
            return [], False
        format = self.mapping.target_format
        came = lines_of(output, format)
        file = self.file(wanted) if isinstance(wanted, Mapping) and len(wanted) == 1 else None
        if file is not None:
            if file.is_file():
                read = Payload(file.read_bytes(), charset=output.charset)
                expected = lines_of(read, format)
            else:
                expected = []
            if came != expected and self.update:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("\n".join(came) + "\n", encoding="utf-8")
                return [], True
        else:
            expected, came = compared(wanted, output, self.mapping)
        if came == expected:
            return [], False
        diff = list(difflib.unified_diff(expected, came, "expected", "came", lineterm="", n=2))
        if len(diff) > _MAX_DIFF:
            diff = [*diff[:_MAX_DIFF], f"… {len(diff) - _MAX_DIFF} more lines"]
        return ["\n".join(diff)], False

    def compare_parts(self, case: Mapping, output: Payload) -> list[str]:
        problems = []
        contains = case.get("contains")
        for key, value in contains.entries if isinstance(contains, Mapping) else ():
            found = self.part(key, output)
            if not isinstance(value, Scalar) or found != value.text:
                expected = value.text if isinstance(value, Scalar) else "a text"
                problems.append(f"{key.text}: expected {expected!r}, came {found!r}")
        absent = case.get("absent")
        items = absent.items if isinstance(absent, Sequence) else (absent,) if absent else ()
        for item in items:
            if isinstance(item, Scalar):
                found = self.part(item, output)
                if found is not None:
                    problems.append(f"{item.text}: expected to be absent, came {found!r}")
        return problems

    def part(self, path: Scalar, output: Payload) -> str | None:
        """What stands at a path of the output."""
        format = self.mapping.target_format
        json = _DOCUMENTS.get(format)
        document: Document = (
            json(read_json(output.body)) if json is not None else FORMATS[format].parse(output)
        )
        text = path.text
        if json is not None or format == "delimited":
            text = f"$src.{text}" if not text.startswith(("[", "$")) else text
        elif isinstance(document, XmlDocument) and not text.startswith(("/", "$")):
            text = f"/{text}"
        expression = compile_expression(
            Scalar(text, True, path.position),
            format=format,
            diagnostics=self.diagnostics,
            namespaces=self.mapping.target_namespaces,
            layout=self.mapping.target_layout,
        )
        if expression is None:
            return None
        found = expression.value(document, MapContext(MessageId("example"), _NOW))
        if found is None:
            return None
        if found is NULL:
            return '""'
        try:
            return text_of(found)
        except ValueError:
            return orjson.dumps(spelled(found)).decode()


def _text(node: Mapping, key: str) -> str:
    found = node.get(key)
    return found.text if isinstance(found, Scalar) else ""
