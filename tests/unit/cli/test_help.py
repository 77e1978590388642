"""What ``--help`` says: every command has an example, with options that it has; docs/cli.md has
every command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from engine.cli.main import app
from tests.unit.cli.conftest import Carebus

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_an_example_that_it_understands(carebus: Carebus, name: str) -> None:
    shown = " ".join(carebus(name, "--help").output.split())
    (example,) = re.findall(rf"Example: (carebus {name}( .*)?)$", shown)
    options = {option for one in COMMANDS[name].params for option in one.opts}
    used = {word for word in example[0].split() if word.startswith("-")}
    assert used <= options


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_on_the_page(name: str) -> None:
    assert f"`carebus {name}" in PAGE
