"""``carebus rehearse``: stored messages through a changed project, beside a running engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.cli.exits import Exit
from engine.contract import (
    ChannelName,
    ErrorInfo,
    NewDelivery,
    Payload,
    Stage,
    State,
)
from engine.store import SqliteDatabase, SqlStore
from engine.testing.store import GRACE, new_message, step
from tests.unit.cli.conftest import Carebus
from tests.unit.cli.test_project_commands import ADT, change, project

__all__ = ["project"]

SENT = b'{"tenant":"north","id":"77","sex":"male"}'
NO_SEX = ADT.replace("|M\n", "|X\n")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An engine's store: two messages that were sent, one that could not be mapped, one queued,
    and one of long ago whose content retention has deleted."""
    store = SqlStore(SqliteDatabase(tmp_path / "var" / "carebus.db"), tmp_path / "var")
    (tmp_path / "var").mkdir()
    await store.open()
    for number in range(4):
        new = new_message(number)
        body = (NO_SEX if number == 2 else ADT).encode()
        message = replace(new.message, channel=ChannelName("his-adt"), payload=Payload(body))
        target = NewDelivery("admissions", "emr", ChannelName("emr"))
        stored = await store.accept(replace(new, message=message, deliveries=(target,)))
        if number < 2:
            sent = Payload(SENT, "application/json", "utf-8")
            await store.record(step(stored, State.SENT, sent=sent))
        elif number == 2:
            error = ErrorInfo("R201", "code not in table Sex", Stage.MAPPING)
            await store.record(step(stored, State.DEAD, error=error))
    yield store
    await store.close(GRACE)


def rehearsed(carebus: Carebus, project: Path, *words: object) -> tuple[int, Any]:
    result = carebus(
        "rehearse", "--config", project, "--data", project / "var", "--since", "2000-01-01", *words
    )
    assert result.stdout, (result.stderr, result.exception)
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.usefixtures("store")
def test_nothing_changes_when_the_project_is_the_same(carebus: Carebus, project: Path) -> None:
    code, shown = rehearsed(carebus, project)
    assert (code, shown["messages"]) == (0, 4)
    assert shown["counts"] == {"same": 2, "still failing": 1, "nothing to compare with": 1}
    assert {one["outcome"] for one in shown["findings"]} == {
        "still failing",
        "nothing to compare with",
    }


@pytest.mark.usefixtures("store")
def test_differences_are_shown_leaf_by_leaf(carebus: Carebus, project: Path) -> None:
    change(
        project, "mappings/adt-to-json.yaml", "id: = PID-3[1].1!", "id: {value: '= PID-3[1].1!'}"
    )
    change(project, "mappings/adt-to-json.yaml", "unmapped: error", "unmapped: drop")
    before = (project / "var" / "carebus.db").read_bytes()
    code, shown = rehearsed(carebus, project)
    assert code == 0
    assert shown["counts"] == {"different": 2, "mended": 1, "nothing to compare with": 1}
    assert shown["findings"][0]["changed"] == [
        {"path": "id", "sent": "77", "now": None},
        {"path": "id.value", "sent": None, "now": "77"},
    ]
    assert (project / "var" / "carebus.db").read_bytes() == before
    text = carebus(
        "rehearse", "--config", project, "--data", project / "var", "--since", "2000-01-01",
        "--format", "table", "--show", 1,
    )  # fmt: skip
    assert text.stdout.startswith("4 messages: 2 different, 1 mended, 1 nothing to compare with")
    assert text.stdout.count("admissions/emr") == 1
    assert "id.value" in text.stdout


@pytest.mark.usefixtures("store")
def test_what_would_newly_fail_ends_with_1(carebus: Carebus, project: Path) -> None:
    change(project, "mappings/adt-to-json.yaml", "died: = PID-29", "died: = PID-29!")
    code, shown = rehearsed(carebus, project)
    assert code == 1
    assert shown["counts"] == {"newly failing": 3, "still failing": 1}
    error = shown["findings"][0]["error"]
    assert (error["code"], error["location"]) == ("R101", "mappings/adt-to-json.yaml:9:11")


@pytest.mark.usefixtures("store")
def test_targets_come_and_go(carebus: Carebus, project: Path) -> None:
    change(project, "routes.yaml", "{channel: emr, mapping", "{channel: emr, name: other, mapping")
    change(project, "mappings/adt-to-json.yaml", "unmapped: error", "unmapped: drop")
    _, shown = rehearsed(carebus, project)
    assert shown["counts"] == {"added": 4, "gone": 4}
    assert rehearsed(carebus, project, "--channel", "ward")[1]["messages"] == 0
    assert rehearsed(carebus, project, "--channel", "emr", "--limit", 2)[1]["messages"] == 2


def test_without_a_store_it_says_so(carebus: Carebus, project: Path) -> None:
    result = carebus("rehearse", "--config", project, "--data", project / "none")
    assert result.exit_code == Exit.NOT_STARTED
    assert "carebus.db" in result.stderr
    result = carebus("rehearse", "--config", project, "--channel", "nobody")
    assert result.exit_code == 2
