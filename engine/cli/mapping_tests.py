"""The ``*.test.yaml`` files of a project's mappings: found, run, and counted by mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.config.model import Configuration
from engine.mapping import CompiledMapping
from engine.mapping.examples import CaseResult, run_examples
from engine.mapping.tracing import Rule
from engine.syntax import Diagnostic, Diagnostics, Scalar, decode_yaml, read_yaml
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean

ENDING: Final = ".test.yaml"


@dataclass(slots=True)
class Tested:
    """What all test files of one mapping showed."""

    mapping: CompiledMapping
    cases: list[CaseResult] = field(default_factory=list)
    written: set[Rule] = field(default_factory=set)

    @property
    def never_ran(self) -> list[Rule]:
        return [rule for rule in self.mapping.own_rules if rule not in self.written]

    @property
    def coverage(self) -> float:
        """Percent of the rules that wrote something."""
        rules = len(self.mapping.own_rules)
        return 100.0 if not rules else 100.0 * (rules - len(self.never_ran)) / rules


@dataclass(frozen=True, slots=True)
class Outcome:
    tested: Mapping[str, Tested]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]


def run_all(configuration: Configuration, *, update: bool) -> Outcome:
    """Run every test file below ``mappings/``; one without a ``mapping:`` is about the mapping
    whose name it has."""
    tested: dict[str, Tested] = {}
    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for path in _files(configuration.root / "mappings"):
        diagnostics = Diagnostics()
        name, text = _mapping_of(path, configuration, diagnostics)
        sources[path.name] = text
        if name is not None:
            mapping = configuration.mappings[name]
            entry = tested.setdefault(name, Tested(mapping))
            report = run_examples(path, mapping, update=update)
            entry.cases += report.cases
            entry.written |= report.written
            diagnostics.extend(report.diagnostics)
        found += diagnostics.items
    return Outcome(tested, tuple(found), sources)


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob(f"*{ENDING}"))


def _mapping_of(
    path: Path, configuration: Configuration, diagnostics: Diagnostics
) -> tuple[str | None, str]:
    text = decode_yaml(path.read_bytes(), path.name, diagnostics)
    root = None if text is None else read_yaml(text, path.name, diagnostics)
    if not isinstance(root, MappingNode):
        return None, text or ""
    given = root.get("mapping")
    folder = configuration.root / "mappings"
    name = path.relative_to(folder).as_posix().removesuffix(ENDING)
    if isinstance(given, Scalar):
        name = given.text
    if name not in configuration.mappings:
        place = given if isinstance(given, Scalar) else root
        diagnostics.at(
            "P030",
            place,
            f"there is no mapping '{name}'",
            help=did_you_mean(name, configuration.mappings),
        )
        return None, text or ""
    return name, text or ""
