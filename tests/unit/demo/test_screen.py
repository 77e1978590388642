"""What the newcomer sees, drawn without a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from engine.demo.hospital import Hospital, Plan, Received, Summary
from engine.demo.project import Ports
from engine.demo.screen import LiveView, PlainView, summary_lines
from engine.demo.sender import Outgoing
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STATUS = EngineStatus(
    NOW,
    "0123456789abcdef",
    True,
    (
        ChannelStatus("his-adt", "HIS", "inbound", "mllp", ChannelState.RUNNING, NOW, received=7),
        ChannelStatus("emr-fhir", "EMR", "outbound", "fhir", ChannelState.FAILED, NOW, waiting=3),
    ),
)


class Running:
    """An engine's child as the screen sees it."""

    ended = False
    pid = 4711


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    plan = Plan(tmp_path, tmp_path, Ports(), None, 20.0, None, False)
    hospital = Hospital(plan, PlainView(io.StringIO()))
    message = Outgoing("DEMO", "p", b"")
    hospital.lis.sending(message)
    hospital.lis.acknowledged(message)
    return hospital


def console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=True, width=140, color_system=None), out


def test_the_live_table_invites_to_kill_the_engine(hospital: Hospital) -> None:
    hospital.engine = Running()  # type: ignore[assignment]
    drawn, out = console()
    with LiveView(drawn) as view:
        view.say("the engine runs, process 4711")
        view.show(hospital, STATUS)
    text = out.getvalue()
    assert "kill -9 4711" in text
    assert "his-adt" in text
    assert "ward (HL7)  got 0 of 1, twice 0, under way 1" in text
    assert "the engine runs, process 4711" in text


def test_the_table_stays_while_the_engine_is_away(hospital: Hospital) -> None:
    drawn, out = console()
    with LiveView(drawn) as view:
        view.show(hospital, STATUS)
        out.truncate(0)
        view.show(hospital, None)
        text = out.getvalue()
    assert "emr-fhir" in text
    assert "the engine does not answer" in text
    assert "kill -9" not in text


def test_a_pipe_gets_plain_lines(hospital: Hospital) -> None:
    out = io.StringIO()
    with PlainView(out) as view:
        view.show(hospital, STATUS)
        view.show(hospital, STATUS)  # too soon
    lines = out.getvalue().splitlines()
    assert sum(line.startswith("his-adt\tHIS\trunning\t7") for line in lines) == 1
    assert lines[-1] == "ward (HL7)  got 0 of 1, twice 0, under way 1"


def test_the_summary_says_what_was_lost() -> None:
    emr = Received("EMR (FHIR)", acknowledged=10, delivered=9, duplicates=1, lost=1)
    lines = summary_lines(Summary(11, 1, 10, 0, (emr,), starts=2, dead=1))
    assert lines == [
        "sent 11 (repeated 1), acknowledged 10, refused 0",
        "EMR (FHIR): delivered 9 of 10 acknowledged, duplicates 1",
        "engine starts 2, dead 1",
        "lost=1",
        "not everything that was acknowledged arrived: see the engine's log",
    ]
