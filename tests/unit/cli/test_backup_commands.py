"""``carebus backup``, ``restore`` and ``archive``, as a person or a timer uses them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.cli.exits import Exit
from engine.store import SqliteDatabase, SqlStore
from engine.testing.store import GRACE, identity
from tests.unit.cli.conftest import Carebus
from tests.unit.store.filled import fill


@pytest.fixture
async def data(tmp_path: Path) -> AsyncIterator[Path]:
    data = tmp_path / "var"
    store = SqlStore(SqliteDatabase(data / "carebus.db"), data)
    await store.open()
    await fill(store, 0, 10)
    yield data
    await store.close(GRACE)


def test_a_backup_is_taken_verified_and_restored(
    carebus: Carebus, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    kinds = []
    for _ in range(2):
        taken = json.loads(carebus("backup", folder, "--data", data).stdout)
        assert taken["totals"]["message"] == 10
        kinds.append(taken["kind"])
    assert kinds == ["full", "incremental"]
    taken = json.loads(carebus("backup", folder, "--data", data, "--full", "--keep", "1").stdout)
    assert len(taken["deleted"]) == 2
    shown = carebus("backup", "--verify", folder, "--format", "table")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].endswith("\twhole")
    restored = carebus("restore", folder, "--data", tmp_path / "new", "--format", "table")
    assert restored.exit_code == 0
    assert "content\t10\t10\t0" in restored.stdout.splitlines()
    again = carebus("restore", folder, "--data", tmp_path / "new")
    assert (again.exit_code, again.stdout) == (Exit.FAILED, "")
    assert "BACKUP-NOT-EMPTY" in again.stderr
    event = folder / taken["backup"] / "event.gz"
    event.write_bytes(event.read_bytes()[:-1])
    shown = carebus("backup", "--verify", folder)
    assert shown.exit_code == Exit.FAILED
    assert json.loads(shown.stdout)["backups"][0]["error"]["code"] == "BACKUP-DAMAGED"


def test_content_is_archived_found_and_shown(carebus: Carebus, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    moved = carebus("archive", "move", folder, "--older-than", "1d", "--data", data)
    assert json.loads(moved.stdout) == {"archived": 3, "removed": 3}
    found = json.loads(carebus("archive", "search", folder, "--visit", "V6").stdout)
    assert [one["id"] for one in found["messages"]] == [identity(6)]
    shown = json.loads(carebus("archive", "show", identity(0), folder).stdout)
    assert [part["what"] for part in shown["contents"]] == [
        "content", "sent", "reply", "sent", "reply",
    ]  # fmt: skip
    text = carebus("archive", "show", identity(0), folder, "--format", "table").stdout
    assert "--- sent content · delivery 1 admissions/emr" in text
    assert carebus("archive", "verify", folder).exit_code == 0
    unknown = carebus("archive", "show", identity(9), folder)
    assert unknown.exit_code == Exit.FAILED
    assert "ARCHIVE-UNKNOWN" in unknown.stderr


def test_there_must_be_something_to_back_up(carebus: Carebus, tmp_path: Path) -> None:
    result = carebus("backup", tmp_path / "backups", "--data", tmp_path / "nothing")
    assert result.exit_code == Exit.NOT_STARTED
    assert "STORE-IO" in result.stderr
    result = carebus("backup", tmp_path / "backups", "--full", "--incremental")
    assert result.exit_code == Exit.USAGE
