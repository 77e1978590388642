"""The mappings that ship with the project: they compile without a warning, and their cases pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.mapping import FolderLibrary, check_library, compile_mapping, run_examples
from engine.syntax import Diagnostics, read_yaml

ROOT = Path(__file__).parents[3] / "mappings"
TESTED = sorted(ROOT.rglob("*.test.yaml"))


@pytest.mark.parametrize("path", TESTED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_cases_pass_and_most_rules_write(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix().removesuffix(".test.yaml")
    source = ROOT / f"{name}.yaml"
    diagnostics = Diagnostics()
    root = read_yaml(source.read_text(encoding="utf-8"), f"mappings/{name}.yaml", diagnostics)
    assert root is not None
    library = FolderLibrary(ROOT)
    mapping = compile_mapping(root, diagnostics=diagnostics, library=library, name=name)
    assert [str(one) for one in diagnostics.items] == []
    assert mapping is not None
    report = run_examples(path, mapping)
    assert [str(one) for one in report.diagnostics.items] == []
    assert {case.name: case.problems for case in report.cases if not case.passed} == {}
    assert len(report.cases) >= 3
    assert report.coverage > 0.5


@pytest.mark.parametrize("path", sorted(ROOT.glob("lib/*.yaml")), ids=lambda path: path.name)
def test_libraries_compile(path: Path) -> None:
    diagnostics = Diagnostics()
    name = f"lib/{path.stem}"
    root = read_yaml(path.read_text(encoding="utf-8"), f"mappings/{name}.yaml", diagnostics)
    assert root is not None
    check_library(root, diagnostics=diagnostics, library=FolderLibrary(ROOT), name=name)
    assert [str(one) for one in diagnostics.items] == []
