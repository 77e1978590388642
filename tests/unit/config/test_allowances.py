"""A warning that somebody looked at is quiet; an error never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.projects import OUTBOUND, load_project


def codes(root: Path, text: str) -> list[str]:
    loaded = load_project(root, {"channels/emr.yaml": OUTBOUND + text})
    return [found.code for found in loaded.diagnostics]


@pytest.mark.parametrize(
    "text",
    [
        "on_uncertain: retry  # carebus: allow C134 the payload is a PUT\n",
        "# carebus: allow C134 the payload is a PUT\non_uncertain: retry\n",
        "#  carebus: allow C134 病案系统会去重\non_uncertain: retry\n",
    ],
)
def test_allowed(tmp_path: Path, text: str) -> None:
    assert codes(tmp_path, text.replace("#  ", "# ")) == []


@pytest.mark.parametrize(
    "text",
    [
        "on_uncertain: retry\n",
        "on_uncertain: retry  # carebus: allow C134\n",
        "on_uncertain: retry  # carebus: allow C135 wrong code\n",
        "# carebus: allow C134 too far away\n\non_uncertain: retry\n",
    ],
)
def test_not_allowed(tmp_path: Path, text: str) -> None:
    assert codes(tmp_path, text) == ["C134"]


def test_errors_cannot_be_allowed(tmp_path: Path) -> None:
    assert codes(tmp_path, "concurrency: 3  # carebus: allow C133 please\n") == ["C133"]
