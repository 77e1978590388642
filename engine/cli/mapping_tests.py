"""The ``*.test.yaml`` files of a project: found, run, and counted by mapping and library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.config.model import Configuration
from engine.mapping import (
    CompiledMapping,
    FolderLibrary,
    check_library,
    find_functions,
    has_output,
    run_examples,
    run_map_examples,
)
from engine.mapping.coverage import FileCoverage, coverage_of, percent
from engine.mapping.examples import CaseResult, ExampleReport
from engine.mapping.tracing import Rule
from engine.syntax import Diagnostic, Diagnostics, Scalar, decode_yaml, read_yaml
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean

ENDING: Final = ".test.yaml"


@dataclass(slots=True)
class Tested:
    """What all test files of one mapping or library showed."""

    is_library: bool
    own: tuple[Rule, ...] = ()
    """The rules of its file."""
    imported: tuple[Rule, ...] = ()
    cases: list[CaseResult] = field(default_factory=list)
    written: set[Rule] = field(default_factory=set)

    def ran(self, rules: tuple[Rule, ...]) -> float:
        """Percent of ``rules`` that wrote something for these cases alone."""
        return percent(sum(rule in self.written for rule in rules), len(rules))


@dataclass(frozen=True, slots=True)
class Outcome:
    tested: Mapping[str, Tested]
    """Mappings and libraries, by name."""
    files: tuple[FileCoverage, ...]
    """Of all mappings and libraries of the project, by all cases."""
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str]

    @property
    def rules(self) -> int:
        return sum(len(file.rules) for file in self.files)

    @property
    def covered(self) -> int:
        return sum(file.covered for file in self.files)

    @property
    def percent(self) -> float:
        """Of all rules, each counted once."""
        return percent(self.covered, self.rules)


def run_all(configuration: Configuration, *, update: bool) -> Outcome:
    """Run every test file below ``mappings/``; one without a ``mapping:`` or ``library:`` is about
    the file whose name it has."""
    folder = configuration.root / "mappings"
    library = FolderLibrary(folder, find_functions()[0])
    libraries = {
        name: check_library(node, diagnostics=Diagnostics(), library=library, name=name)
        for name in library.names()
        if (node := library.source(name, Diagnostics())) and not has_output(node, library)
    }
    tested: dict[str, Tested] = {}
    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for path in sorted(folder.rglob(f"*{ENDING}")):
        diagnostics = Diagnostics()
        name, text = _subject_of(path, folder, (*configuration.mappings, *libraries), diagnostics)
        sources[path.name] = text
        if name is not None:
            mapping = configuration.mappings.get(name)
            entry = tested.setdefault(name, Tested(mapping is None))
            report = _report(path, name, mapping, library, update=update)
            entry.own, entry.imported = report.rules, report.imported
            entry.cases += report.cases
            entry.written |= report.written
            diagnostics.extend(report.diagnostics)
        found += diagnostics.items
    files = coverage_of(
        _rules(configuration, tested),
        libraries,
        (rule for entry in tested.values() for rule in entry.written),
    )
    return Outcome(tested, files, tuple(found), sources)


def _rules(
    configuration: Configuration, tested: Mapping[str, Tested]
) -> Iterator[tuple[Rule, ...]]:
    """Of each mapping, with or without cases."""
    for name, mapping in configuration.mappings.items():
        entry = tested.get(name)
        yield mapping.rules if entry is None else entry.own + entry.imported


def _report(
    path: Path, name: str, mapping: CompiledMapping | None, library: FolderLibrary, *, update: bool
) -> ExampleReport:
    if mapping is not None:
        return run_examples(path, mapping, update=update)
    file = library.load(name, Diagnostics())
    assert file is not None  # noqa: S101 - its name is that of a library
    return run_map_examples(path, file, library, update=update)


def _subject_of(
    path: Path, folder: Path, names: tuple[str, ...], diagnostics: Diagnostics
) -> tuple[str | None, str]:
    """The mapping or library that a test file is about, and the file's text."""
    text = decode_yaml(path.read_bytes(), path.name, diagnostics)
    root = None if text is None else read_yaml(text, path.name, diagnostics)
    if not isinstance(root, MappingNode):
        return None, text or ""
    name = path.relative_to(folder).as_posix().removesuffix(ENDING)
    given = root.get("mapping") or root.get("library")
    if isinstance(given, Scalar):
        name = given.text
    if name not in names:
        place = given if isinstance(given, Scalar) else root
        diagnostics.at(
            "P030", place, f"there is no mapping '{name}'", help=did_you_mean(name, names)
        )
        return None, text or ""
    return name, text or ""
