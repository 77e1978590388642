"""A real engine process and the real commands about it: a message comes in over MLLP, is found,
replayed, and survives reloads and signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.main import app

WITHIN_SECONDS = 20.0

ADT = (
    "MSH|^~\\&|HIS|A|EMR|B|20260101080000||ADT^A01|{control_id}|P|2.5.1\r"
    "PID|||4711^^^HIS||MARK^ER||19700101|M\r"
)
MARKS = ("4711", "MARK", "19700101")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true; fails when that takes too long."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


class Hospital:
    """A project: an ADT feed over MLLP, and a folder that gets a copy of everything."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.out = root / "archive"
        self.out.mkdir()
        (root / "channels").mkdir()
        self.route("MSH-9.1 == 'ADT'")
        (root / "channels" / "his-adt.yaml").write_text(
            "system: HIS\ndirection: inbound\nconnector: mllp\n"
            f"settings: {{host: 127.0.0.1, port: {self.port}}}\nformat: hl7v2\n"
        )
        (root / "channels" / "archive.yaml").write_text(
            "system: ARCHIVE\ndirection: outbound\nconnector: file\n"
            f"settings: {{directory: {self.out}}}\nformat: hl7v2\n"
        )

    def route(self, when: str) -> None:
        (self.root / "routes.yaml").write_text(
            f"routes:\n  - name: copies\n    from: his-adt\n    when: = {when}\n"
            "    to: [{channel: archive}]\n"
        )

    def message(self, control_id: str) -> Path:
        path = self.root / f"{control_id}.hl7"
        path.write_bytes(ADT.format(control_id=control_id).encode())
        return path


class Running:
    """``carebus run`` as a process, and every other command against it."""

    def __init__(self, hospital: Hospital, data: Path, *more: str) -> None:
        self.hospital = hospital
        self.data = data
        self.log = data.with_suffix(".log")
        self.process = start(hospital.root, data, self.log, *more)
        until(lambda: self.process.poll() is not None or self.control_is_up())
        assert self.process.poll() is None, self.log.read_text()

    def control_is_up(self) -> bool:
        return self("status").exit_code == 0

    def __call__(self, *words: object) -> Result:
        name, *rest = map(str, words)
        local = ["--data", str(self.data)] if name in ("status", "replay", "cancel") else []
        if name == "messages":
            local = ["--data", str(self.data)]
            if rest[:1] == ["show"]:
                return CliRunner().invoke(app, [name, *rest, *local])
        return CliRunner().invoke(app, [name, *local, *rest])

    def send(self, control_id: str) -> Result:
        to = f"mllp://127.0.0.1:{self.hospital.port}"
        return self("send", self.hospital.message(control_id), "--to", to)

    def found(self, **search: str) -> list[Any]:
        words = [word for name, value in search.items() for word in (f"--{name}", value)]
        result = self("messages", "--format", "json", *words)
        assert result.exit_code == 0, result.output
        messages: list[Any] = json.loads(result.stdout)["messages"]
        return messages

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WITHIN_SECONDS)


STARTED: list[subprocess.Popen[Any]] = []


def start(
    root: Path, data: Path, log: Path, *more: str, **settings: str
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "run", "--data", str(data), *more],
            cwd=root,
            stdout=output,
            stderr=output,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "CAREBUS_API_LISTEN": "127.0.0.1:0",
                "CAREBUS_LOG": "json",
                **settings,
            },
        )
    STARTED.append(process)
    return process


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    """Whatever a failed test left running is ended."""
    yield
    for process in STARTED:
        process.kill()
        process.wait()
    STARTED.clear()


@pytest.fixture(scope="module")
def carebus(tmp_path_factory: pytest.TempPathFactory) -> Running:
    root = tmp_path_factory.mktemp("hospital")
    return Running(Hospital(root), root / "var")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def test_a_message_is_sent_found_shown_and_replayed(carebus: Running) -> None:
    sent = carebus.send("STORY1")
    assert sent.exit_code == 0, sent.output
    assert sent.stdout.startswith("AA\tSTORY1\t")

    def delivered() -> Any:
        return carebus.found(patient="4711", state="sent", **{"control-id": "STORY1"})

    [message] = until(delivered)
    assert (message["channel"], message["type"]) == ("his-adt", "ADT^A01")
    [delivery] = message["deliveries"]
    [copy] = carebus.hospital.out.iterdir()
    assert copy.read_bytes() == ADT.format(control_id="STORY1").encode()

    shown = carebus("messages", "show", message["message_id"], "--content")
    assert "MARK^ER" in shown.stdout
    assert "MARK" not in carebus("messages", "show", message["message_id"]).stdout

    copy.unlink()
    assert carebus("replay", delivery["delivery"]).exit_code == 0
    until(copy.exists)
    until(delivered)
    history = carebus("messages", "show", message["message_id"], "--format", "json")
    steps = [(event["state"], event["actor"]) for event in json.loads(history.stdout)["history"]]
    assert [state for state, _ in steps] == ["received", "sent", "queued", "sent"]
    assert steps[2][1] not in ("engine", "api", "")

    status = carebus("status", "--format", "json")
    counts = {one["name"]: one for one in json.loads(status.stdout)["channels"]}
    assert counts["his-adt"]["accepted"] == 1
    assert counts["archive"]["sent"] == 2


def test_a_step_that_is_not_allowed_is_refused(carebus: Running) -> None:
    assert carebus("cancel", 987654321).exit_code == 4
    assert carebus("messages", "show", "01890000-0000-7000-8000-000000000000").exit_code == 4


def test_normal_operation_logs_nothing_for_a_message(carebus: Running) -> None:
    before = carebus.log.read_text()
    for number in range(10):
        assert carebus.send(f"QUIET{number}").exit_code == 0
    until(lambda: carebus.found(state="sent", **{"control-id": "QUIET9"}))
    assert carebus.log.read_text() == before


def test_hangup_takes_a_new_project_and_refuses_a_wrong_one(carebus: Running) -> None:
    hospital = carebus.hospital
    old = json.loads(carebus("status", "--format", "json").stdout)["version"]
    hospital.route("MSH-9.1 ==")
    carebus.process.send_signal(signal.SIGHUP)
    until(lambda: "reload refused; the old configuration runs on" in carebus.events())
    assert carebus.send("OLD").stdout.startswith("AA")
    until(lambda: carebus.found(state="sent", **{"control-id": "OLD"}))

    hospital.route("MSH-9.1 == 'ORU'")
    carebus.process.send_signal(signal.SIGHUP)
    until(lambda: json.loads(carebus("status", "--format", "json").stdout)["version"] != old)
    assert carebus.send("NEW").stdout.startswith("AA")
    [message] = carebus.found(**{"control-id": "NEW"})
    assert message["state"] == "unrouted"
    # The loudest things have happened by now; none of them showed what was in a message.
    log = carebus.log.read_text()
    assert not [mark for mark in MARKS if mark in log]


def test_the_status_is_watched_until_somebody_has_seen_enough(carebus: Running) -> None:
    words = ["status", "--watch", "--every", "0.1", "--format", "json", "--data", carebus.data]
    watching = subprocess.Popen(
        [sys.executable, "-m", "engine.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    STARTED.append(watching)
    assert watching.stdout is not None
    with watching.stdout:
        for _ in range(3):
            assert json.loads(watching.stdout.readline())["channels"]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(WITHIN_SECONDS) == 0


def test_a_second_engine_on_the_same_data_does_not_start(carebus: Running, tmp_path: Path) -> None:
    log = tmp_path / "second.log"
    second = start(carebus.hospital.root, carebus.data, log)
    assert second.wait(WITHIN_SECONDS) == 5
    assert "another engine is running" in log.read_text()
    assert carebus("status").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_what_was_taken_is_there_after_the_next_start(
    tmp_path: Path, number: signal.Signals
) -> None:
    hospital = Hospital(tmp_path)
    first = Running(hospital, tmp_path / "var", "--watch")
    assert first.send("KEPT").stdout.startswith("AA")
    assert first.stop(number) == 0
    assert first.events()[-1] == "engine stopped"
    assert first("status").exit_code == 3
    second = Running(hospital, tmp_path / "var")
    until(lambda: second.found(state="sent", **{"control-id": "KEPT"}))
    assert second.stop() == 0


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"CAREBUS_STORE_ULR": "x"}, 5, "did you mean CAREBUS_STORE_URL?"),
        ({"CAREBUS_LOG": "xml"}, 5, "error[P001]"),
        ({"CAREBUS_API_LISTEN": "192.0.2.1:1"}, 5, "error[P020]"),
    ],
)
def test_wrong_settings_are_told(
    tmp_path: Path, settings: dict[str, str], code: int, said: str
) -> None:
    hospital, log = Hospital(tmp_path), tmp_path / "log"
    process = start(hospital.root, tmp_path / "var", log, **settings)
    assert process.wait(WITHIN_SECONDS) == code
    assert said in log.read_text()


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    hospital, log = Hospital(tmp_path), tmp_path / "log"
    (tmp_path / "file").touch()
    process = start(hospital.root, tmp_path / "file" / "var", log)
    assert process.wait(WITHIN_SECONDS) == 5
    assert "error[P021]" in log.read_text()


def test_a_wrong_project_does_not_start(tmp_path: Path) -> None:
    hospital, log = Hospital(tmp_path), tmp_path / "log"
    hospital.route("MSH-9.1 ==")
    process = start(hospital.root, tmp_path / "var", log)
    assert process.wait(WITHIN_SECONDS) == 1
    assert "routes.yaml:4:" in log.read_text()
    assert not (tmp_path / "var").exists()
