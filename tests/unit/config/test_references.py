"""References are filled in on texts, at their place, and never twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.references import References, has_reference
from engine.syntax import Diagnostics, Position, Scalar


def fill(text: str, root: Path = Path(), **environ: str) -> tuple[str | None, list[str]]:
    diagnostics = Diagnostics()
    filled = References(environ, root, diagnostics).fill(
        Scalar(text, True, Position("f.yaml", 1, 1))
    )
    return filled, [f"{found.code}@{found.position.column}" for found in diagnostics.items]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${env:A}", "1"),
        ("x${env:A}y${env:B}z", "x1y2z"),
        ("$${env:A}", "${env:A}"),
        ("$$${env:A}", "$${env:A}"),
        ("cost $5 {a}", "cost $5 {a}"),
        ("${env:EMPTY}", ""),
        ("${env:NESTED}", "${env:A}"),  # what a variable holds is not read again
    ],
)
def test_environment(text: str, filled: str) -> None:
    assert fill(text, A="1", B="2", EMPTY="", NESTED="${env:A}") == (filled, [])


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("x ${env:NO} ${env:NEITHER}", ["C111@3", "C111@13"]),
        ("${}", ["C110@1"]),
        ("${env:}", ["C110@1"]),
        ("a ${env:A", ["C110@3"]),
        ("${A}", ["C110@1"]),
        ("${ENV:A}", ["C110@1"]),
    ],
)
def test_problems_have_their_places(text: str, problems: list[str]) -> None:
    assert fill(text, A="1") == (None, problems)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t\n", "utf-8")
    assert fill(f"${{file:{tmp_path / 'secret'}}}") == ("s3cr3t", [])
    assert fill("${file:secret}", tmp_path) == ("s3cr3t", [])


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_files_that_are_no_secret(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert fill("${file:secret}", tmp_path) == (None, ["C112@1"])
    assert fill("${file:a\0b}", tmp_path) == (None, ["C112@1"])
    assert fill("${file:.}", tmp_path) == (None, ["C112@1"])


def test_an_escape_is_no_reference() -> None:
    assert has_reference("a ${env:A}")
    assert not has_reference("a $${env:A}")
    assert not has_reference("$5")
