"""The pages of docs/ that are written from the code say what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.describe import describe
from engine.cli.markdown import lint_markdown
from engine.cli.reference import connectors_page, pages, shipped_connectors, table
from engine.mapping.forms import FORMS
from engine.mapping.functions import BUILT_IN

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", sorted(pages()))
def test_page_is_what_the_code_says(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == pages()[name], "run .venv/bin/python -m engine.cli.reference"


def test_every_function_has_a_row() -> None:
    rows = [line for line in pages()["functions.md"].splitlines() if line.startswith("| `")]
    assert len(rows) == len(BUILT_IN) + len(FORMS)


@pytest.mark.parametrize("name", sorted([*BUILT_IN, *FORMS]))
def test_what_the_page_lists_can_be_described(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(name)
    assert capsys.readouterr().out.startswith(f"{name}(")


def test_settings_of_inner_models_have_their_own_rows() -> None:
    page = connectors_page(shipped_connectors())
    assert "| `auth.basic.password` | secret | required |" in page
    assert "| `timeout` | duration | `30s` |" in page
    assert "| `reply_limit` | size | `1MiB` |" in page


def test_a_cell_cannot_end_its_column() -> None:
    assert table(("a",), [("x | y\nz",)]).splitlines()[-1] == "| x \\| y z |"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_yaml_of_a_page_is_right(page: Path) -> None:
    found, _ = lint_markdown(page, page.name)
    assert not [f"{one.position}: {one.code} {one.message}" for one in found]
