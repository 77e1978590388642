"""The file connector on a real file system: crashes, refusals, full disks, rights."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.file.destination import FileDestination
from connectors.file.settings import DestinationSettings, SourceSettings
from connectors.file.source import FileSource
from engine.contract import (
    Accept,
    ChannelName,
    EngineError,
    Limits,
    Message,
    MessageId,
    NotConnected,
    Outbound,
    Outcome,
    Payload,
    RejectedError,
    RetryableError,
    UncertainError,
)
from engine.testing.accepting import RecordingAccept
from engine.testing.services import MemoryServices

GRACE = timedelta(seconds=1)
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def source(folder: Path, limits: Limits | None = None, **more: Any) -> FileSource:
    settings = {"directory": str(folder), "ready": "rename", "poll": "5ms", **more}
    services = MemoryServices(limits=limits or Limits(), clock=lambda: NOW)
    return FileSource(SourceSettings.model_validate(settings), services)


@asynccontextmanager
async def running(source: FileSource, accept: Accept) -> AsyncIterator[asyncio.Task[None]]:
    await source.open()
    task = asyncio.create_task(source.run(accept))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await source.close(GRACE)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


def files(folder: Path) -> list[str]:
    """Names of the visible files here and in the sub-folders."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.DUPLICATE])
async def test_what_was_taken_is_kept_in_processed(tmp_path: Path, outcome: Outcome) -> None:
    (tmp_path / "Müller.hl7").write_bytes(b"body")
    accept = RecordingAccept(outcome)
    async with running(source(tmp_path), accept):
        await until(lambda: files(tmp_path) == ["processed/Müller.hl7"])
    (inbound,) = accept.received
    assert inbound.payload.body == b"body"
    assert inbound.attributes == {"file": "Müller.hl7"}
    assert "Müller" not in f"{inbound!r} {inbound.peer} {inbound.dedup_key}"


async def test_taken_files_may_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"body")
    async with running(source(tmp_path, delete=True), RecordingAccept()):
        await until(lambda: files(tmp_path) == [])


async def test_what_was_refused_lies_in_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"Zzyzx")
    async with running(source(tmp_path), RecordingAccept(Outcome.REJECTED)):
        await until(lambda: files(tmp_path) == ["error/a.hl7", "error/a.hl7.error.txt"])
    report = (tmp_path / "error" / "a.hl7.error.txt").read_text()
    assert "code: TEST-NO" in report
    assert "refused: 2026-03-01T12:00:00+00:00" in report
    assert "Zzyzx" not in report


async def test_what_cannot_be_taken_now_stays_and_keeps_its_place(tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        (tmp_path / name).write_bytes(name.encode())
    accept = RecordingAccept(Outcome.UNAVAILABLE)
    async with running(source(tmp_path), accept):
        await accept.count(3)
        assert set(accept.bodies) == {b"1"}
        accept.outcome = Outcome.ACCEPTED
        await until(lambda: len(files(tmp_path / "processed")) == 3)
    assert [body for body in accept.bodies if body != b"1"] == [b"2", b"3"]


async def test_a_crash_between_taking_and_moving_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"body")
    first, second = RecordingAccept(), RecordingAccept()
    first.hold()
    async with running(source(tmp_path), first):
        await first.count(1)  # stored by the engine, and then the power went
    async with running(source(tmp_path), second):
        await second.count(1)
    assert first.received[0].dedup_key == second.received[0].dedup_key


async def test_a_copy_is_another_message(tmp_path: Path) -> None:
    accept = RecordingAccept()
    async with running(source(tmp_path), accept):
        for number in (1, 2):
            (tmp_path / "a.part").write_bytes(b"body")
            (tmp_path / "a.part").rename(tmp_path / "a")
            await until(lambda number=number: len(files(tmp_path / "processed")) == number)
    assert len({inbound.dedup_key for inbound in accept.received}) == 2


async def test_a_file_that_is_still_written_is_not_read(tmp_path: Path) -> None:
    accept = RecordingAccept()
    path = tmp_path / "a"
    async with running(source(tmp_path, ready="stable", stable_for="500ms"), accept):
        with path.open("wb", buffering=0) as file:
            for _ in range(10):
                file.write(b"0123456789")
                await asyncio.sleep(0.03)
        await accept.count(1)
    assert accept.bodies == [b"0123456789" * 10]


async def test_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    accept = RecordingAccept()
    async with running(source(tmp_path, Limits(message=1000)), accept):
        await until(lambda: files(tmp_path) == ["error/a", "error/a.error.txt"])
    assert accept.received == []
    assert "FILE-SIZE" in (tmp_path / "error" / "a.error.txt").read_text()


BATCH = (
    b"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r"
    b"MSH|^~\\&|LIS|||||1||ORU^R01|1|P|2.5.1\rPID|||1\r"
    b"MSH|^~\\&|LIS|||||1||ORU^R01|2|P|2.5.1\rPID|||2\r"
    b"MSH|^~\\&|LIS|||||1||ORU^R01|3|P|2.5.1\rPID|||3\r"
    b"BTS|3\rFTS|1\r"
)


async def test_each_message_of_a_batch_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BATCH)
    accept = RecordingAccept()
    async with running(source(tmp_path, split="hl7v2_batch"), accept):
        await until(lambda: files(tmp_path) == ["processed/a"])
    assert [body[-3:] for body in accept.bodies] == [b"|1\r", b"|2\r", b"|3\r"]
    assert all(body.startswith(b"MSH|") for body in accept.bodies)
    assert len({inbound.dedup_key for inbound in accept.received}) == 3


async def test_a_batch_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BATCH)
    busy = {2}

    def outcome(inbound: Any) -> Outcome:
        number = len(accept.received)
        return Outcome.UNAVAILABLE if number in busy else Outcome.ACCEPTED

    accept = RecordingAccept(outcome)
    async with running(source(tmp_path, split="hl7v2_batch"), accept):
        await until(lambda: files(tmp_path) == ["processed/a"])
    keys = [inbound.dedup_key for inbound in accept.received]
    assert keys[0] == keys[2]
    assert keys[1] == keys[3]
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        (b"no batch", Outcome.ACCEPTED, "HL7-HEADER"),
        (BATCH, Outcome.REJECTED, "3 of 3 messages were refused"),
        (BATCH.replace(b"BTS|3", b"BTS|4"), Outcome.ACCEPTED, "fewer or more"),
    ],
)
async def test_batches_that_are_not_whole(
    tmp_path: Path, body: bytes, outcome: Outcome, reason: str
) -> None:
    (tmp_path / "a").write_bytes(body)
    async with running(source(tmp_path, split="hl7v2_batch"), RecordingAccept(outcome)):
        await until(lambda: files(tmp_path) == ["error/a", "error/a.error.txt"])
    assert reason in (tmp_path / "error" / "a.error.txt").read_text()


async def test_a_file_that_cannot_be_read_is_told_once_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = os.open

    def deny(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith("Zzyzx"):
            raise PermissionError(errno.EACCES, "denied")
        return opening(path, *more, **named)

    monkeypatch.setattr("connectors.file.folder.os.open", deny)  # tests may run as root
    settings = {"directory": str(tmp_path), "ready": "rename", "poll": "1ms"}
    services = MemoryServices()
    reading = FileSource(SourceSettings.model_validate(settings), services)
    accept = RecordingAccept()
    (tmp_path / "Zzyzx").write_bytes(b"secret")
    async with running(reading, accept):
        for name in ("b", "c"):
            (tmp_path / f"{name}.part").write_bytes(name.encode())
            (tmp_path / f"{name}.part").rename(tmp_path / f"{name}")
            await until(lambda name=name: f"processed/{name}" in files(tmp_path))
    assert accept.bodies == [b"b", b"c"]
    (line,) = services.logged
    assert line.values["code"] == "FILE-READ"
    assert line.values["reason"] == "EACCES"
    assert "Zzyzx" not in line.text()


async def test_check_of_a_folder(tmp_path: Path) -> None:
    reading = source(tmp_path)
    assert [check.ok for check in await reading.check()] == [True]
    async with running(source(tmp_path), RecordingAccept()):
        assert [check.ok for check in await reading.check()] == [False]


async def test_a_message_of_a_batch_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BATCH.replace(b"PID|||2", b"PID|||" + b"2" * 1000))
    accept = RecordingAccept()
    async with running(source(tmp_path, Limits(message=500), split="hl7v2_batch"), accept):
        await until(lambda: files(tmp_path) == ["error/a", "error/a.error.txt"])
    assert len(accept.received) == 2
    assert "1 of 3" in (tmp_path / "error" / "a.error.txt").read_text()


async def test_not_open(tmp_path: Path) -> None:
    await refused(source(tmp_path).run(RecordingAccept()), NotConnected, "FILE-FOLDER")
    settings = DestinationSettings.model_validate({"directory": str(tmp_path)})
    destination = FileDestination(settings, MemoryServices())
    await refused(destination.send(outbound()), NotConnected, "FILE-FOLDER")


async def refused(waiting: Any, kind: type[EngineError], code: str) -> EngineError:
    with pytest.raises(kind) as caught:
        async with asyncio.timeout(5):
            await waiting
    assert caught.value.info.code == code
    return caught.value


async def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    missing = source(tmp_path / "missing")
    await refused(missing.open(), NotConnected, "FILE-FOLDER")
    await missing.close(GRACE)
    assert [check.ok for check in await missing.check()] == [False]
    first, second = source(tmp_path), source(tmp_path)
    await first.open()
    await refused(second.open(), NotConnected, "FILE-LOCKED")
    await first.close(GRACE)
    await second.open()
    await second.close(GRACE)


async def test_a_folder_that_goes_away(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with running(source(folder), RecordingAccept()) as task:
        os.rename(folder, tmp_path / "away")
        await refused(asyncio.shield(task), NotConnected, "FILE-FOLDER")


async def test_what_cannot_be_moved_away_stops_the_source(tmp_path: Path) -> None:
    reading = source(tmp_path)
    await reading.open()
    (tmp_path / "processed").rmdir()
    (tmp_path / "a").write_bytes(b"body")
    task = asyncio.create_task(reading.run(RecordingAccept()))
    with pytest.raises(NotConnected) as caught:
        await task
    await reading.close(GRACE)
    assert caught.value.info.code == "FILE-MOVE"
    assert files(tmp_path) == ["a"]


async def test_a_link_is_no_place_for_processed_files(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    folder = tmp_path / "in"
    for path in (elsewhere, folder):
        path.mkdir()
    (folder / "processed").symlink_to(elsewhere)
    reading = source(folder)
    await refused(reading.open(), NotConnected, "FILE-FOLDER")
    await reading.close(GRACE)


# --- destination ---


def outbound(body: bytes = b"body", message_id: str = "0198-7") -> Outbound:
    payload = Payload(body)
    return Outbound(Message(MessageId(message_id), ChannelName("his"), payload, NOW), payload)


@asynccontextmanager
async def writing(folder: Path, **more: Any) -> AsyncIterator[FileDestination]:
    settings = DestinationSettings.model_validate({"directory": str(folder), **more})
    destination = FileDestination(settings, MemoryServices())
    await destination.open()
    try:
        yield destination
    finally:
        await destination.close(GRACE)


async def test_a_file_is_written_with_its_rights_and_marker(tmp_path: Path) -> None:
    async with writing(tmp_path, rights="0604", marker=".done") as destination:
        delivered = await destination.send(outbound())
    assert delivered.remote_id == "0198-7.msg"
    assert files(tmp_path) == ["0198-7.msg", "0198-7.msg.done"]
    path = tmp_path / "0198-7.msg"
    assert path.read_bytes() == b"body"
    assert path.stat().st_mode & 0o7777 == 0o604
    assert path.stat().st_nlink == 1


async def test_the_same_again_is_delivered_and_other_content_is_refused(tmp_path: Path) -> None:
    async with writing(tmp_path) as destination:
        await destination.send(outbound())
        before = (tmp_path / "0198-7.msg").stat()
        await destination.send(replace(outbound(), attempt=2, possible_duplicate=True))
        for other in (b"ydob", b"longer body", b""):
            await refused(destination.send(outbound(other)), RejectedError, "FILE-EXISTS")
    after = (tmp_path / "0198-7.msg").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(tmp_path) == ["0198-7.msg"]


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path.with_name("target")
    target.write_bytes(b"body")
    (tmp_path / "0198-7.msg").symlink_to(target)
    async with writing(tmp_path) as destination:
        await refused(destination.send(outbound()), RejectedError, "FILE-EXISTS")
    assert target.read_bytes() == b"body"


@pytest.mark.parametrize(
    ("call", "number", "kind", "code", "left"),
    [
        ("write", errno.ENOSPC, RetryableError, "FILE-FULL", []),
        ("fsync", errno.EDQUOT, RetryableError, "FILE-FULL", []),
        ("fsync", errno.EIO, NotConnected, "FILE-FOLDER", []),
        ("link", errno.EROFS, NotConnected, "FILE-FOLDER", []),
        ("link", errno.EPERM, None, "", ["0198-7.msg"]),  # no hard links: renamed instead
    ],
)
async def test_faults_of_the_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    kind: type[EngineError] | None,
    code: str,
    left: list[str],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    async with writing(tmp_path) as destination:
        monkeypatch.setattr(f"connectors.file.destination.os.{call}", fail)
        if kind is None:
            await destination.send(outbound())
        else:
            await refused(destination.send(outbound()), kind, code)
        monkeypatch.undo()
        assert os.listdir(tmp_path) == left


async def test_a_disk_that_does_not_confirm_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = os.fsync
    calls: list[int] = []

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "input/output error")
        flush(descriptor)

    monkeypatch.setattr("connectors.file.destination.os.fsync", second_fails)
    async with writing(tmp_path) as destination:
        await refused(destination.send(outbound()), UncertainError, "FILE-UNSURE")
        await destination.send(outbound())  # the same again
    assert os.listdir(tmp_path) == ["0198-7.msg"]


async def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    async with writing(tmp_path) as destination:
        sending = destination.send(outbound(message_id="x" * 300))
        await refused(sending, RejectedError, "FILE-NAME")


async def test_a_cancelled_send_leaves_all_or_nothing(tmp_path: Path) -> None:
    async with writing(tmp_path) as destination:
        for delay in (0.0, 0.0005, 0.001, 0.002):
            body = os.urandom(1_000_000)
            send = asyncio.create_task(destination.send(outbound(body, f"id-{delay}")))
            await asyncio.sleep(delay)
            send.cancel()
            await asyncio.wait([send])
            paths = [tmp_path / name for name in os.listdir(tmp_path)]
            assert [path.read_bytes() for path in paths] in ([], [body])
            for path in paths:
                path.unlink()


async def test_what_an_earlier_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".carebus-under-test-0011223344556677.part").write_bytes(b"half")
    (tmp_path / ".carebus-other-channel-0011223344556677.part").write_bytes(b"half")
    async with writing(tmp_path):
        assert os.listdir(tmp_path) == [".carebus-other-channel-0011223344556677.part"]


async def test_check_tries_to_write(tmp_path: Path) -> None:
    async with writing(tmp_path) as destination:
        assert [check.ok for check in await destination.check()] == [True]
        assert os.listdir(tmp_path) == []
        os.rename(tmp_path, tmp_path.with_name("away"))
        checks = await destination.check()
        assert [(check.ok, check.detail) for check in checks] == [(False, "cannot write: ENOENT")]
