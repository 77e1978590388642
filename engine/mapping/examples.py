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

``now`` is 2024-01-15T08:00:00Z in every case that does not say otherwise.  The cases of a
library, ``mappings/lib/NAME.test.yaml``, call one map each::

    library: lib/people
    cases:
      - name: a name before marriage
        map: HumanName
        with: {xpn: BERG^ANNA^^^^^M}                         # HL7 v2 text, or an expression
        contains: {use: maiden}
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.contract import ChannelName, Document, EngineError, MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.formats.delimited import Layout
from engine.formats.null import NULL
from engine.mapping.ast import SEGMENTED
from engine.mapping.comparing import compared, lines_of
from engine.mapping.compiled import CompiledMapping
from engine.mapping.compiling import check_library
from engine.mapping.edits import WrongPath, edited
from engine.mapping.expected import CASE_TIME, Places
from engine.mapping.explain import plain, written_rules
from engine.mapping.library import Library
from engine.mapping.map_calls import MapCalls, Subject
from engine.mapping.mapfile import MapFile
from engine.mapping.tracing import Rule
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
_MAP_KEYS: Final = (*_KEYS, "map", "with")
_MAX_DIFF: Final = 80
_NOTHING: Final = b"MSH|^~\\&|||||20240115080000||ADT^A01|1|P|2.8\r"
"""The message around what a case of a map gives."""


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
    """Those of its own file: what it imports or extends has tests of its own."""
    imported: tuple[Rule, ...]
    """Those of what it imports or extends."""
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
    traced = mapping.traced() or mapping
    subject = Subject(traced, mapping.target_format)
    runner = _Runner(
        path.parent, lambda case: subject, update, mapping.source_format, mapping.source_layout
    )
    results = runner.run_all(path)
    own = traced.own_rules
    imported = tuple(rule for rule in traced.rules if rule.position.file != traced.file)
    written = frozenset(runner.written)
    return ExampleReport(mapping.name, results, own, imported, written, runner.diagnostics)


def run_map_examples(
    path: Path, file: MapFile, library: Library, *, update: bool = False
) -> ExampleReport:
    """The same for a test file of a library, whose cases call its maps."""
    diagnostics = Diagnostics()
    calls = MapCalls(file, library, diagnostics)
    runner = _Runner(
        path.parent, calls.subject, update, calls.source, file.source_layout, _MAP_KEYS, diagnostics
    )
    results = runner.run_all(path)
    rules = check_library(file.root, diagnostics=Diagnostics(), library=library, name=file.name)
    return ExampleReport(file.name, results, rules, (), frozenset(runner.written), diagnostics)


@dataclass
class _Runner:
    folder: Path
    subject_of: Callable[[Mapping], Subject | None]
    update: bool
    source: str
    layout: Layout
    keys: tuple[str, ...] = _KEYS
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    inputs: dict[str, Document] = field(default_factory=dict)
    written: set[Rule] = field(default_factory=set)

    def run_all(self, path: Path) -> tuple[CaseResult, ...]:
        diagnostics = self.diagnostics
        text = decode_yaml(path.read_bytes(), path.name, diagnostics)
        root = None if text is None else read_yaml(text, path.name, diagnostics)
        cases = root.get("cases") if isinstance(root, Mapping) else None
        if not isinstance(cases, Sequence):
            if not diagnostics.has_errors:
                place = Position(path.name, 1, 1) if root is None else root.position
                diagnostics.add("M901", place, "a test file has 'mapping' and a list of 'cases'")
            return ()
        return tuple(result for case in cases.items if (result := self.run(case)) is not None)

    def run(self, case: Node) -> CaseResult | None:
        if not isinstance(case, Mapping) or not isinstance(case.get("name"), Scalar):
            self.diagnostics.at("M901", case, "a case is a mapping with a name")
            return None
        for key, _ in case.entries:
            if key.text not in self.keys:
                help = did_you_mean(key.text, self.keys)
                self.diagnostics.at("M901", key, f"unknown key '{key.text}'", help=help)
        name = _text(case, "name")
        subject = self.subject_of(case)
        if subject is None:
            return CaseResult(name, case.position, ("it cannot be run",))
        document = self.document(case, subject)
        if document is None:
            return CaseResult(name, case.position, ("its input cannot be read",))
        problems: list[str] = []
        updated = False
        try:
            tree = self.trace(subject, document, self.context(case))
            output = subject.written(tree)
        except EngineError as error:
            problems += self.compare_error(case, error, subject)
        else:
            if case.get("error") is not None:
                problems.append("an error was expected, and the mapping gave an output")
            found, updated = self.compare_whole(case, output, subject)
            problems += found
            problems += Places(output, subject, self.diagnostics).problems(case)
        return CaseResult(name, case.position, tuple(problems), updated)

    def trace(self, subject: Subject, document: Document, context: MapContext) -> Any:
        tree = subject.mapping.apply(document, context)
        self.written.update(written_rules(tree))
        return plain(tree)

    def context(self, case: Mapping) -> MapContext:
        given = case.get("params")
        params = (
            {key.text: value.text for key, value in given.entries if isinstance(value, Scalar)}
            if isinstance(given, Mapping)
            else {}
        )
        now = CASE_TIME
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

    def document(self, case: Mapping, subject: Subject) -> Document | None:
        given = case.get("input")
        found: Document | None
        if isinstance(given, Mapping) and isinstance(given.get("base"), Scalar):
            found = self.derived(given)
        else:
            body = self.body(given)
            if body is None:
                self.diagnostics.at(
                    "M901", given or case, "'input' is text, {file: …} or {base: …, set: {…}}"
                )
                return None
            found = self.parsed(body, given or case)
        if found is not None:
            self.inputs[_text(case, "name")] = found
            if subject.segments:
                written = FORMATS[self.source].write(found)
                added = "\r".join((*subject.segments, "")).encode(written.charset or "utf-8")
                found = self.parsed(written.body + added, given or case)
        return found

    def parsed(self, body: bytes, node: Node) -> Document | None:
        try:
            return FORMATS[self.source].parse(Payload(body))
        except EngineError as error:
            self.diagnostics.at("M901", node, f"the input cannot be read: {error.info.summary}")
            return None

    def body(self, node: Node | None) -> bytes | None:
        if isinstance(node, Scalar):
            text = node.text
            if self.source in SEGMENTED:
                text = "\r".join(line.strip() for line in text.strip().splitlines()) + "\r"
            body = text.encode()
            needs_header = "map" in self.keys and self.source == "hl7v2"
            return _NOTHING + body if needs_header and not text.startswith("MSH") else body
        if node is None and "map" in self.keys and self.source == "hl7v2":
            return _NOTHING
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
            try:
                for path, text in _edits(key.text, value, document.format):
                    put = NULL if text == '""' else text or None
                    document = edited(document, path, put, self.layout)
            except (WrongPath, EngineError):
                self.diagnostics.at("M901", key, f"'{key.text}' cannot be set")
                return None
        return document

    # --- what is expected ---------------------------------------------------------------

    def compare_error(self, case: Mapping, error: EngineError, subject: Subject) -> list[str]:
        wanted = case.get("error")
        if not isinstance(wanted, Mapping):
            return [f"{error} ({error.info.location})"]
        problems = []
        code = _text(wanted, "code")
        if code and code != error.info.code:
            problems.append(f"error {code} was expected, and {error} came")
        rule = _text(wanted, "rule")
        if rule:
            found = rule_at(error.info.location, subject.mapping.rules)
            if found != rule:
                problems.append(f"the error was expected at {rule}, and came from {found}")
        return problems

    def compare_whole(
        self, case: Mapping, output: Payload, subject: Subject
    ) -> tuple[list[str], bool]:
        wanted = case.get("expect")
        if wanted is None:
            return [], False
        format = subject.format
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
            expected, came = compared(wanted, output, format, subject.mapping)
        if came == expected:
            return [], False
        diff = list(difflib.unified_diff(expected, came, "expected", "came", lineterm="", n=2))
        if len(diff) > _MAX_DIFF:
            diff = [*diff[:_MAX_DIFF], f"… {len(diff) - _MAX_DIFF} more lines"]
        return ["\n".join(diff)], False


def _edits(path: str, node: Node, format: str) -> Iterator[tuple[str, str]]:
    """Single places and their texts: ``{1: 4711, 5: MR}`` at a field of HL7 v2 or ASTM sets its
    components and takes the others away, a list its repetitions.

    Raises WrongPath for such a value in another format.
    """
    if isinstance(node, Scalar):
        yield path, node.text
        return
    if format not in SEGMENTED:
        raise WrongPath(path)
    yield path, ""
    if isinstance(node, Sequence):
        for number, item in enumerate(node.items, 1):
            yield from _edits(f"{path}[{number}]", item, format)
    else:
        for key, value in node.entries:
            yield from _edits(f"{path}.{key.text}", value, format)


def _text(node: Mapping, key: str) -> str:
    found = node.get(key)
    return found.text if isinstance(found, Scalar) else ""


def rule_at(location: str | None, rules: tuple[Rule, ...]) -> str | None:
    """The rule whose line an error names."""
    file_line, _, column = (location or "").rpartition(":")
    best: Rule | None = None
    for rule in rules:
        place = rule.position
        if f"{place.file}:{place.line}" == file_line and place.column <= int(column or 0):
            best = rule
    return None if best is None else best.path
