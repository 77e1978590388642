"""The underline stands below what it means, whatever the characters' width."""

from __future__ import annotations

import pytest

from engine.syntax import CODES, Diagnostic, Position, Severity
from engine.syntax.render import render, summary, width_of


def diagnostic(column: int, length: int, *, code: str = "Y102", line: int = 1) -> Diagnostic:
    return Diagnostic(
        code, CODES[code].severity, "what is wrong", Position("f.yaml", line, column), length, "do"
    )


def test_the_shape() -> None:
    source = "a: 1\n" * 21 + "        gender: = PID-8 | table('AdminstrativeSex')\n"
    found = diagnostic(33, 18, line=22)
    assert render(found, source) == (
        "error[Y102]: what is wrong\n"
        "  --> f.yaml:22:33\n"
        "   |\n"
        "22 |         gender: = PID-8 | table('AdminstrativeSex')\n"
        "   |                                 ^^^^^^^^^^^^^^^^^^\n"
        "   = help: do"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("科室: 检验科 x", "检验科"),
        ("ﾊﾝｶｸ: Ｆｕｌｌ", "Ｆｕｌｌ"),
        ("e\u0301te\u0301: x", "x"),
        ("plain: text", "text"),
        ("emoji 🏥: 医院", "医院"),
    ],
)
def test_underlines_fit_wide_characters(line: str, text: str) -> None:
    rendered = render(diagnostic(line.index(text) + 1, len(text)), line).split("\n")
    shown, underline = rendered[3], rendered[4]
    before = shown[: shown.index(text)]
    assert width_of(before) == len(underline) - underline.count("^")
    assert underline.count("^") == width_of(text)


def test_a_long_line_is_cut_around_the_place() -> None:
    line = "x" * 500 + "HERE" + "y" * 500
    rendered = render(diagnostic(501, 4), line).split("\n")
    column = rendered[4].index("^")
    assert rendered[3][column : column + 4] == "HERE"
    assert len(rendered[3]) < 200


def test_a_secret_is_not_printed() -> None:
    line = "  password: hunter2"
    found = diagnostic(13, 7, code="C114")
    rendered = render(found, line)
    assert "hunter2" not in rendered
    assert "  password: •••••••" in rendered


def test_without_a_source_there_is_no_excerpt() -> None:
    assert render(diagnostic(1, 1), None).split("\n") == [
        "error[Y102]: what is wrong",
        " --> f.yaml:1:1",
        "  = help: do",
    ]
    assert render(diagnostic(1, 1, line=99), "one line").count("\n") == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in render(diagnostic(1, 1), "a: \x1b[31m\u202e")


def test_colour_changes_nothing_but_colour() -> None:
    import re

    found = diagnostic(4, 1)
    painted = render(found, "a: 1", color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == render(found, "a: 1")


def test_the_summary_counts() -> None:
    error, warning = diagnostic(1, 1), diagnostic(1, 1, code="C301")
    assert warning.severity is Severity.WARNING
    assert summary([error, error, warning]) == "2 errors, 1 warning"
    assert summary([]) == "no problems"
