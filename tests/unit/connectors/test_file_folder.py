"""What is ready in a folder, and what is never looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from connectors.file.folder import Changed, Folder, Ready
from connectors.file.settings import SourceSettings


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def folder(path: Path, clock: Clock | None = None, **more: Any) -> Folder:
    settings = SourceSettings.model_validate({"directory": str(path), **more})
    return Folder(settings, clock=clock or Clock())


def names(files: list[Ready]) -> list[str]:
    return [file.name for file in files]


def test_only_plain_finished_files_are_looked_at(tmp_path: Path) -> None:
    secret = tmp_path.with_name("secret")
    secret.write_bytes(b"secret")
    for name in ("b.hl7", "a.hl7", "c.txt", ".hidden.hl7", "d.hl7.part", "e.TMP", "f.hl7.filepart"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link.hl7").symlink_to(secret)
    (tmp_path / "folder.hl7").mkdir()
    os.mkfifo(tmp_path / "pipe.hl7")
    assert names(folder(tmp_path, ready="rename", pattern="*.hl7").look()) == ["a.hl7", "b.hl7"]


def test_order_by_time(tmp_path: Path) -> None:
    for name, time in (("a", 30), ("b", 10), ("c", 20)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time, time))
    assert names(folder(tmp_path, ready="rename", order="time").look()) == ["b", "c", "a"]


def test_a_file_that_grows_is_not_ready(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"half")
    looked = folder(tmp_path, clock, stable_for="2s")
    assert looked.look() == []
    clock.now = 1.9
    assert looked.look() == []
    with path.open("ab") as file:
        file.write(b" and half")
    clock.now = 2.5
    assert looked.look() == []
    clock.now = 4.4
    assert looked.look() == []
    clock.now = 4.5
    assert names(looked.look()) == ["a"]


def test_the_same_size_with_another_time_is_a_change(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    looked = folder(tmp_path, clock, stable_for="1s")
    looked.look()
    os.utime(path, (1, 1))
    clock.now = 1.0
    assert looked.look() == []
    clock.now = 2.0
    assert names(looked.look()) == ["a"]


def test_markers(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"x")
    (tmp_path / "b.hl7").write_bytes(b"x")
    (tmp_path / "b.hl7.done").touch()
    looked = folder(tmp_path, ready="marker")
    looked.take()
    (ready,) = looked.look()
    assert ready.name == "b.hl7"
    looked.finish(ready)
    looked.release()
    left = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert left == ["a.hl7", "error", "processed"]


def test_a_marker_that_a_crash_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a.hl7.done").touch()
    looked = folder(tmp_path, ready="marker")
    looked.take()
    (tmp_path / "a.hl7").write_bytes(b"half")
    assert looked.look() == []
    looked.release()


def test_what_changes_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    looked = folder(tmp_path, ready="rename")
    (ready,) = looked.look()
    path.write_bytes(b"longer")
    with pytest.raises(Changed):
        looked.read(ready)
    (again,) = looked.look()
    assert looked.read(again) == b"longer"
    assert again.key != ready.key


def test_a_file_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path.with_name("secret")
    secret.write_bytes(b"x")
    path = tmp_path / "a"
    path.write_bytes(b"x")
    looked = folder(tmp_path, ready="rename")
    (ready,) = looked.look()
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        looked.read(ready)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    looked = folder(tmp_path, ready="rename")
    looked.take()
    for content in (b"one", b"two", b"three"):
        (tmp_path / "same.hl7").write_bytes(content)
        (ready,) = looked.look()
        looked.finish(ready)
    looked.release()
    kept = {path.read_bytes() for path in (tmp_path / "processed").iterdir()}
    assert kept == {b"one", b"two", b"three"}


def test_refused_files_have_their_reason_beside_them(tmp_path: Path) -> None:
    looked = folder(tmp_path, ready="rename")
    looked.take()
    (tmp_path / "a.hl7").write_bytes(b"x")
    (ready,) = looked.look()
    looked.refuse(ready, "code: X\n")
    looked.release()
    assert (tmp_path / "error" / "a.hl7").read_bytes() == b"x"
    assert (tmp_path / "error" / "a.hl7.error.txt").read_text() == "code: X\n"


def test_one_reader_at_a_time(tmp_path: Path) -> None:
    first, second = folder(tmp_path), folder(tmp_path)
    first.take()
    with pytest.raises(BlockingIOError):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()


def test_the_key_shows_nothing_of_the_name() -> None:
    key = Ready("Müller_19700101.hl7", 1, 2, 3).key
    assert "ller" not in key
    assert key == Ready("Müller_19700101.hl7", 1, 2, 3).key
    assert Ready(os.fsdecode(b"\xff\xfe"), 1, 2, 3).key
