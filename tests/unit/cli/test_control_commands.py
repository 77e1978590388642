"""The commands about a running engine: what they print, what they send, how they exit."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine.api.engine import Reloaded
from engine.cli.control import moment
from engine.cli.output import printable
from engine.contract import ErrorInfo, Stage, State
from engine.flow.status import ChannelState
from engine.syntax import Diagnostic, Position, Severity
from tests.unit.api.conftest import Running
from tests.unit.api.scripted_engine import READY, ScriptedEngine, message_id
from tests.unit.cli.conftest import Carebus


def test_status_is_a_line_for_each_channel_in_a_pipe(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    result = carebus("status", "--data", running.data)
    assert result.exit_code == 0
    heading, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert heading[:4] == ["channel", "system", "state", "in"]
    assert {row[0]: row[2] for row in rows} == {"his-adt": "running", "emr-fhir": "running"}
    assert {len(row) for row in rows} == {len(heading)}


def test_status_exits_1_when_the_engine_is_not_ready(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    failed = replace(READY.channels[0], state=ChannelState.FAILED)
    engine.current = replace(READY, ready=False, channels=(failed,))
    result = carebus("status", "--data", running.data, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["channels"][0]["state"] == "failed"


def test_status_tells_that_no_messages_are_taken(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    full = ErrorInfo("FLOW-DISK", "nearly full", Stage.STORING, help="free space")
    engine.current = replace(READY, ready=False, refusing=full)
    result = carebus("status", "--data", running.data)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1 + len(READY.channels)
    assert "takes no new messages: FLOW-DISK nearly full; free space" in result.stderr


def test_without_an_engine_every_command_exits_3_and_says_what_to_do(
    carebus: Carebus, tmp_path: Path
) -> None:
    for words in (
        ["status"],
        ["messages"],
        ["messages", "show", message_id(1)],
        ["replay", "1"],
        ["cancel", "1"],
        ["stop", "his-adt"],
        ["start", "his-adt"],
    ):
        result = carebus(*words, "--data", tmp_path)
        assert result.exit_code == 3, words
        assert "error[P024]" in result.stderr
        assert "carebus run" in result.stderr


def test_messages_are_found_by_what_is_known(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    engine.add(State.DEAD)
    engine.add(State.SENT)
    result = carebus("messages", "--data", running.data, "--patient", "77", "--state", "dead")
    assert result.exit_code == 0
    heading, row = [line.split("\t") for line in result.stdout.splitlines()]
    found = dict(zip(heading, row, strict=True))
    assert found["message"] == message_id(1)
    assert found["control_id"] == "C1"
    assert found["deliveries"] == "10 emr-fhir dead"
    assert engine.queries[-1].keys == {"patient": "77"}


def test_on_a_terminal_ids_stay_whole_and_words_are_the_readers(
    carebus: Carebus, running: Running, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.add(State.DEAD, deliveries=3)
    monkeypatch.setattr("engine.cli.output.terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    result = carebus("messages", "--data", running.data)
    assert message_id(1) in result.stdout
    assert "控制号" in result.stdout
    assert "死信" in result.stdout
    assert "\t" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 110


def test_messages_as_json_hold_the_next_page(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    for _ in range(3):
        engine.add(State.SENT)
    result = carebus("messages", "--data", running.data, "--limit", 2, "--format", "json")
    assert json.loads(result.stdout)["next"] == message_id(2)


def test_a_refused_search_exits_4(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    result = carebus("messages", "--data", running.data, "--state", "lost")
    assert result.exit_code == 4
    assert "error[P013]: state is not a state" in result.stderr
    assert "uncertain" in result.stderr


def test_a_message_tells_its_story_and_its_content_only_when_asked(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    wanted = engine.add(State.DEAD)
    result = carebus("messages", "show", wanted, "--data", running.data)
    assert result.exit_code == 0
    assert "R201 code not in table" in result.stdout
    assert "张" not in result.stdout
    full = carebus("messages", "show", wanted, "--data", running.data, "--content")
    assert "PID|||77||张^伟\n" in full.stdout
    assert "patient 77" in full.stdout
    assert '{"resourceType":"Bundle"}' in full.stdout


def test_content_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b]0;x\x07\tb\n\u202e") == "a\ufffd]0;x\ufffd\tb\n\ufffd"


def test_deliveries_and_messages_are_replayed_by_their_ids(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    engine.add(State.DEAD)
    second = engine.add(State.DEAD, deliveries=2)
    result = carebus("replay", "10", second, "--data", running.data)
    assert result.exit_code == 0
    assert engine.done == [
        ("replay", 10, "anna"),
        ("replay", 20, "anna"),
        ("replay", 21, "anna"),
    ]


def test_an_unrouted_message_is_replayed_by_its_id(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    wanted = engine.add(State.QUEUED, deliveries=0)
    engine.messages[-1] = replace(engine.messages[-1], state=State.UNROUTED)
    result = carebus("replay", wanted, "--data", running.data)
    assert result.exit_code == 0
    assert f"-\t{wanted}\t-\this-adt\treplayed" in result.stdout
    assert engine.done == [("reroute", 1, "anna")]


def test_a_replay_of_many_needs_a_yes(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    engine.add(State.DEAD)
    many = ("replay", "--data", running.data, "--state", "dead")
    assert carebus(*many).exit_code == 2
    dry = carebus(*many, "--dry-run")
    assert dry.exit_code == 0
    assert engine.done == []
    assert carebus(*many, "--yes").exit_code == 0
    assert engine.done == [("replay", 10, "anna")]


@pytest.mark.parametrize(
    "words", [(), ("1", "--state", "dead"), ("--channel", "emr-fhir"), ("--since", "soon")]
)
def test_a_replay_that_says_too_little_or_too_much_is_a_wrong_command(
    carebus: Carebus, running: Running, engine: ScriptedEngine, words: tuple[str, ...]
) -> None:
    assert carebus("replay", *words, "--data", running.data).exit_code == 2
    assert engine.done == []


def test_a_cancel_that_is_refused_exits_4(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    engine.add(State.QUEUED)
    assert carebus("cancel", "10", "--data", running.data).exit_code == 0
    refused = carebus("cancel", "10", "--data", running.data)
    assert refused.exit_code == 4
    assert "error[STORE-STEP]" in refused.stderr


def test_channels_are_stopped_and_started(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    assert "channel his-adt stopped\n" in carebus("stop", "his-adt", "--data", running.data).stdout
    assert carebus("start", "his-adt", "--data", running.data).exit_code == 0
    assert engine.switched == [("stop", "his-adt"), ("start", "his-adt")]
    refused = carebus("stop", "nobody", "--data", running.data)
    assert refused.exit_code == 4
    assert "error[P016]" in refused.stderr


def test_a_reload_says_what_runs_or_what_is_wrong(
    carebus: Carebus, running: Running, engine: ScriptedEngine
) -> None:
    engine.reloaded = Reloaded(True, "def456", warnings=("2 deliveries wait",))
    reloaded = carebus("reload", "--data", running.data)
    assert "def456" in reloaded.stdout
    assert reloaded.stderr == "warning: 2 deliveries wait\n"
    wrong = Diagnostic("Y001", Severity.ERROR, "a tab", Position("routes.yaml", 3, 1))
    engine.reloaded = Reloaded(False, "abc123", (wrong,))
    refused = carebus("reload", "--data", running.data)
    assert refused.exit_code == 4
    assert "routes.yaml:3:1: error[Y001]: a tab" in refused.stderr
    assert "error[P018]" in refused.stderr


def test_times_are_local_or_ago() -> None:
    assert moment("") == ""
    hour_ago = datetime.fromisoformat(moment("1h"))
    assert abs(datetime.now().astimezone() - hour_ago - timedelta(hours=1)) < timedelta(seconds=5)
    assert datetime.fromisoformat(moment("2026-01-31T08:00+08:00")).hour == 0
    assert datetime.fromisoformat(moment("2026-01-31T08:00")) == (
        datetime(2026, 1, 31, 8).astimezone()
    )
