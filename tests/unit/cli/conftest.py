"""Commands talk to the same endpoint as the tests of the API: a real one, on a free port."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from engine.cli.main import app
from tests.unit.api.conftest import engine, running

__all__ = ["engine", "running"]

Carebus = Callable[..., Result]


@pytest.fixture
def carebus(monkeypatch: pytest.MonkeyPatch) -> Carebus:
    """Runs a command in this process; in English, as the user ``anna``."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setattr("engine.cli.control.actor", lambda: "anna")
    runner = CliRunner()

    def run(*words: object, stdin: bytes | None = None) -> Result:
        return runner.invoke(app, [str(word) for word in words], input=stdin)

    return run
