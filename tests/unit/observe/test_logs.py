"""A log line has one form, and no message's content ever gets into it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import (
    ChannelName,
    EngineError,
    ErrorInfo,
    Inbound,
    Message,
    MessageId,
    Payload,
    Stage,
    State,
)
from engine.observe.logs import configure
from engine.observe.withheld import LONGEST, plain, trace

MARK = "Zhang^Wei"
BODY = f"MSH|^~\\&|HIS|A|B|C|20260101||ADT^A01|1|P|2.5.1\rPID|||77^^^A||{MARK}||19700101|M\r"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

ANYTHING = st.text(st.characters()) | st.binary() | st.integers() | st.floats() | st.none()


class Person(NamedTuple):
    name: str


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure("json", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def ours() -> logging.Handler:
    [handler] = (
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    )
    return handler


def test_an_event_is_one_json_object_with_time_and_level(written: Any) -> None:
    structlog.get_logger("engine.flow").warning("channel lost its peer", channel="his-adt", tries=3)
    [line] = written()
    assert line["event"] == "channel lost its peer"
    assert (line["channel"], line["tries"], line["level"]) == ("his-adt", 3, "warning")
    assert line["logger"] == "engine.flow"
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_debug_is_not_written(written: Any) -> None:
    structlog.get_logger().debug("one message", message_id="x")
    assert written() == []


def test_an_error_is_written_by_its_info(written: Any) -> None:
    info = ErrorInfo("R201", "code not in table", Stage.MAPPING, location="mappings/a.yaml:5:2")
    structlog.get_logger().error("mapping failed", error=EngineError(info))
    [line] = written()
    assert line["error"]["code"] == "R201"
    assert line["error"]["location"] == "mappings/a.yaml:5:2"


def test_a_flood_of_content_leaves_no_mark(written: Any) -> None:
    payload = Payload(BODY.encode())
    message = Message(MessageId("m"), ChannelName("his-adt"), payload, NOW)
    log = structlog.get_logger()
    values: list[Any] = [
        BODY,
        BODY.encode(),
        bytearray(BODY.encode()),
        memoryview(BODY.encode()),
        payload,
        message,
        Inbound(payload, NOW, "peer"),
        Person(MARK),
        BODY.split("|"),
        {"body": BODY, "deep": {"deeper": [BODY, {"name": MARK}]}},
        {BODY: 1},
        f"PID|||77||{MARK}",
        f"<name>{MARK}</name>",
        json.dumps({"name": MARK}),
        ValueError(BODY),
        MARK + "x" * LONGEST + "^a^b",
        f"first line\n{MARK}",
        lambda: BODY,
    ]
    with structlog.contextvars.bound_contextvars(bound=BODY):
        for value in values:
            log.info("given", value=value)
            log.bind(value=value).error("bound")
            log.warning("nested", values=[value, (value,), {"value": value}])
    log.error(BODY, trace=BODY, level=BODY, timestamp=BODY, logger=BODY)
    foreign = logging.getLogger("aiohttp.server")
    foreign.error(BODY)
    foreign.error("cannot handle %s from %r", BODY, BODY.encode())
    foreign.error("cannot handle %(body)s", {"body": BODY})
    # pytest's own handler would raise here, so this record goes to ours alone
    wrong = logging.LogRecord("aiohttp", logging.ERROR, "f", 1, "%d is no number", (BODY,), None)
    ours().handle(wrong)
    logging.getLogger("some.library").error(payload)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(BODY, UserWarning, stacklevel=1)
    try:
        try:
            int(BODY)
        except ValueError as error:
            raise ExceptionGroup(BODY, [KeyError(BODY)]) from error
    except ExceptionGroup:
        log.exception("failed", value=BODY)
        foreign.exception("failed: %s", BODY)
    lines = written()
    assert len(lines) == 3 * len(values) + 9
    everything = json.dumps(lines, ensure_ascii=False)
    for mark in (MARK, "Zhang", "19700101", "77^^^A"):
        assert mark not in everything


def test_a_name_that_means_content_is_withheld_whatever_it_holds(written: Any) -> None:
    structlog.get_logger().info("seen", patient="77", text="short", channel="his-adt")
    [line] = written()
    assert (line["patient"], line["text"]) == ("<withheld patient>", "<withheld text>")
    assert line["channel"] == "his-adt"


def test_a_foreign_message_keeps_its_first_line(written: Any) -> None:
    error = ValueError("Zhang Wei")
    logging.getLogger("asyncio").error("Task failed\nfuture: <%s>", error, exc_info=error)
    [line] = written()
    assert line["event"] == "Task failed …"
    assert "Zhang" not in json.dumps(line)


@pytest.mark.parametrize(
    ("defect", "event"),
    [
        ("raise ValueError('PID 77')", "ended by a defect"),
        (
            "import threading; t = threading.Thread(target=lambda: int('PID 77')); "
            "t.start(); t.join()",
            "a thread ended by a defect",
        ),
        (
            "class A:\n    def __del__(self): int('PID 77')\nA()",
            "a defect nobody could catch",
        ),
    ],
)
def test_what_ends_the_process_is_logged_without_its_text(defect: str, event: str) -> None:
    program = (
        "from engine.observe.logs import capture_uncaught, configure\n"
        f"configure('json')\ncapture_uncaught()\n{defect}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    line = json.loads(done.stderr)
    assert (line["event"], line["exception"]) == (event, "ValueError")
    assert "PID 77" not in done.stderr


def test_an_exception_keeps_its_place_and_loses_its_text(written: Any) -> None:
    try:
        int("Zhang Wei")
    except ValueError:
        structlog.get_logger().exception("failed")
    [line] = written()
    assert line["exception"] == "ValueError"
    assert "test_logs.py" in "\n".join(line["trace"])
    assert "Zhang" not in json.dumps(line)


def test_a_trace_shows_causes_groups_and_ends_on_circles() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    group = ExceptionGroup("g", [first, OSError(111, "Connection refused")])
    shown = [line.strip() for line in trace(group)]
    assert shown == [
        "ExceptionGroup",
        "ValueError",
        "KeyError",
        "ConnectionRefusedError: Connection refused",
    ]


def test_the_libraries_speak_in_the_same_form(written: Any) -> None:
    for name in ("uvicorn.error", "aiohttp.server", "alembic.runtime", "asyncio"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).error("trouble with %d of %s", 3, "parts")
    logging.getLogger("uvicorn.access").error('127.0.0.1 "GET /api/v1/messages?patient=77"')
    lines = written()
    assert [line["event"] for line in lines] == ["trouble with 3 of parts"] * 4
    assert all(line["level"] == "error" and "timestamp" in line for line in lines)


def test_the_console_form_is_for_people() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure("console", stream=stream)
    try:
        structlog.get_logger("engine").info("listening", address="127.0.0.1:8600")
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    assert "listening" in stream.getvalue()
    assert "address=127.0.0.1:8600" in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (3, 3),
        (True, True),
        (1.5, 1.5),
        ("his-adt", "his-adt"),
        ("入院登记", "入院登记"),
        (State.DEAD, "dead"),
        (NOW, "2026-01-01T00:00:00+00:00"),
        (timedelta(seconds=2), 2.0),
        (Path("var/carebus.db"), "var/carebus.db"),
        (["a", 1], ["a", 1]),
        (OSError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (asyncio.CancelledError(), "CancelledError"),
        (b"a", "<withheld bytes>"),
        ("ADT^A01", "ADT^A01"),
        ("ADT^A01^ADT_A01", "ADT^A01^ADT_A01"),
        (MARK, "<withheld content>"),
        (["MSH", "7", MARK], "<withheld list>"),
        ({"id": "7", "name": MARK}, "<withheld dict>"),
        ("amqp://engine:secret@rabbit/", "<withheld content>"),
        ("x" * (LONGEST + 1), f"<withheld text of {LONGEST + 1} characters>"),
    ],
)
def test_plain_values_pass_and_others_do_not(value: object, expected: object) -> None:
    assert plain(value) == expected


@settings(max_examples=60)
@given(st.recursive(ANYTHING, lambda s: st.lists(s) | st.tuples(s)))
def test_what_is_plain_is_bounded_and_json(value: object) -> None:
    assert len(orjson.dumps(plain(value))) < 20**3 * LONGEST
