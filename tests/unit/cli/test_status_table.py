"""The live table, in English and Chinese."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from engine.cli.status_table import COLUMNS, age, plain_rows, render_status
from engine.cli.words import _CHINESE, chinese, word
from engine.contract import ErrorInfo, Stage, State
from engine.flow.alerts import Alert
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus
from tests.unit.api.scripted_engine import READY

TROUBLE = ChannelStatus(
    "ward-oru",
    "WARD",
    "outbound",
    "mllp",
    ChannelState.FAILED,
    datetime.now(UTC),
    sent=41,
    waiting=1234,
    retrying=1,
    uncertain=2,
    dead=3,
    rate_out=12.34,
    oldest_waiting=datetime.now(UTC) - timedelta(hours=7, minutes=30),
    last_error=ErrorInfo("MLLP-CONNECT", "the peer refused the connection", Stage.SENDING),
    blocked=True,
)
STATUS = EngineStatus(READY.started_at, "abc", False, (TROUBLE, *READY.channels))


def shown(status: EngineStatus, width: int = 160) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(render_status(status))
    return capture.get()


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en_GB.UTF-8")


def test_each_channel_has_a_row_inbound_first() -> None:
    text = shown(STATUS)
    rows = [line.split() for line in text.splitlines()]
    names = [row[0] for row in rows if row and row[0] in ("his-adt", "emr-fhir", "ward-oru")]
    assert names == ["his-adt", "emr-fhir", "ward-oru"]
    [ward] = [line for line in text.splitlines() if "ward-oru" in line]
    for part in ("failed", "41", "1234 (7h)", "12.3", "MLLP-CONNECT the peer refused"):
        assert part in ward
    assert "not ready" in text


def test_the_plain_form_has_the_same_cells() -> None:
    heading, *rows = plain_rows(STATUS)
    assert len(heading) == len(COLUMNS)
    assert rows[2][:5] == ("ward-oru", "WARD", "failed", "-", "41")
    assert rows[0][3:6] == ("3", "-", "-")


def test_a_narrow_terminal_keeps_every_row() -> None:
    text = shown(replace(STATUS, ready=True), width=80)
    for part in ("his-adt", "emr-fhir", "ward-oru", "running", "1234 (7h)", "12.3", "MLLP-CONNECT"):
        assert part in text


def test_a_queue_that_stands_still_is_blocked() -> None:
    blocked = replace(TROUBLE, state=ChannelState.RUNNING)
    assert "blocked" in shown(replace(STATUS, channels=(blocked,)))


def test_an_engine_that_takes_no_messages_says_why() -> None:
    full = ErrorInfo("FLOW-DISK", "the disk is nearly full", Stage.STORING, help="free space")
    text = shown(replace(STATUS, refusing=full))
    assert "takes no new messages: FLOW-DISK the disk is nearly full; free space" in text
    assert "takes no new messages" not in shown(STATUS)


def test_alerts_stand_before_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    alerted = replace(TROUBLE, alerts=(Alert.QUEUE_OVER, Alert.OLDEST_OVER))
    status = replace(STATUS, channels=(alerted,))
    assert plain_rows(status)[1][-1].startswith("queue_over, oldest_over; MLLP-CONNECT")
    assert "queue_over, oldest_over; MLLP-CONNECT" in shown(status)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "排队过多, 积压过久; MLLP-CONNECT" in shown(status)


def test_chinese_where_the_terminal_speaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    text = shown(STATUS)
    for part in ("通道", "故障", "未就绪", "死信", "MLLP-CONNECT the peer refused"):
        assert part in text


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW"}, True),
        ({"LC_ALL": "", "LANG": "zh"}, True),
        ({}, False),
    ],
)
def test_the_language_is_the_locales(environ: dict[str, str], expected: bool) -> None:
    assert chinese(environ) is expected


def test_every_state_and_heading_has_a_chinese_word() -> None:
    for text in (*State, *ChannelState, *Alert, *COLUMNS):
        assert str(text) in _CHINESE
    assert word("no such word") == "no such word"


def test_an_age_has_one_unit() -> None:
    now = datetime.now(UTC)
    ages = [age(now - timedelta(seconds=s)) for s in (-5, 42, 7 * 60, 3 * 3600, 2 * 86400)]
    assert ages == ["0s", "42s", "7m", "3h", "2d"]
