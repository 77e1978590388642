"""The control endpoint over a real socket: who may ask, what is answered, what is refused."""

from __future__ import annotations

import http.client
import io
import json
import logging
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from engine.api import replays
from engine.api.access import TOKEN_FILE, URL_FILE, Access, announced, new_token, read_access
from engine.api.client import ControlClient, Refusal, Unreachable
from engine.api.engine import Reloaded
from engine.api.guard import Guard
from engine.api.server import serve
from engine.contract import ConfigError, ErrorInfo, Stage, State
from engine.flow.status import ChannelState
from engine.observe.logs import configure
from engine.settings import Listen
from engine.syntax.code import Severity
from engine.syntax.diagnostics import Diagnostic
from engine.syntax.position import Position
from tests.unit.api.conftest import Running
from tests.unit.api.scripted_engine import BODY, READY, ScriptedEngine, message_id


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: Any


def ask(
    running: Running,
    path: str,
    method: str = "GET",
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
    sent = {"Authorization": f"Bearer {running.token if token is None else token}"}
    connection.request(method, path, body, {**sent, **(headers or {})})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    kind = response.headers["Content-Type"]
    return Answer(
        response.status,
        response.headers,
        json.loads(content) if "json" in kind else content.decode(),
    )


@pytest.fixture
def client(running: Running) -> ControlClient:
    return ControlClient(running.data, actor="王护士")


# --- who may ask


@pytest.mark.parametrize("path", ["/live", "/ready", "/metrics"])
def test_health_and_metrics_need_no_token(
    running: Running, engine: ScriptedEngine, path: str
) -> None:
    assert ask(running, path, token="").status == 200


@pytest.mark.parametrize("token", ["", "wrong", "x" * 43])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/messages"),
        ("POST", "/api/v1/deliveries/1/replay"),
        ("POST", "/api/v1/reload"),
        ("GET", "/api/v1/nothing"),
    ],
)
def test_the_api_needs_the_token(
    running: Running, engine: ScriptedEngine, method: str, path: str, token: str
) -> None:
    answer = ask(running, path, method, token=token)
    assert (answer.status, answer.body["code"]) == (401, "P010")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert engine.done == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/live", "/metrics", "/api/v1/status"])
def test_a_strange_host_name_is_refused(
    running: Running, engine: ScriptedEngine, path: str, host: str
) -> None:
    answer = ask(running, path, headers={"Host": host})
    assert (answer.status, answer.body["code"]) == (421, "P011")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8600", "[::1]:8600", "LOCALHOST"])
def test_addresses_and_localhost_are_answered(
    running: Running, engine: ScriptedEngine, host: str
) -> None:
    assert ask(running, "/api/v1/status", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    ("listen", "host", "answered"),
    [
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("engine.hospital.example", "engine.hospital.example:8600", True),
        ("127.0.0.1", "engine.hospital.example", False),
    ],
)
async def test_its_own_name_is_answered_where_it_listens_for_others(
    listen: str, host: str, answered: bool
) -> None:
    statuses: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=200)(scope, receive, send)

    async def send(message: Message) -> None:
        if "status" in message:
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request"}

    guard = Guard(app, token="t", listen=Listen(listen, 8600))
    scope = {"type": "http", "path": "/live", "headers": [(b"host", host.encode())]}
    await guard(scope, receive, send)
    assert statuses == [200 if answered else 421]


def test_no_page_of_another_origin_is_allowed(running: Running, engine: ScriptedEngine) -> None:
    answer = ask(running, "/live", headers={"Origin": "https://evil.example"})
    assert not [name for name in list(answer.headers) if name.lower().startswith("access-control")]


def test_the_token_is_for_its_owner_only_and_new_each_time(tmp_path: Path) -> None:
    first, second = new_token(), new_token()
    assert first != second
    assert len(second) >= 43
    (tmp_path / TOKEN_FILE).write_text(first)  # of an engine before this one, readable for all
    (tmp_path / TOKEN_FILE).chmod(0o644)
    with announced(tmp_path, Access("http://127.0.0.1:1", second)):
        assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
        assert read_access(tmp_path) == Access("http://127.0.0.1:1", second)
        assert second not in repr(read_access(tmp_path))
    assert not (tmp_path / URL_FILE).exists()
    assert read_access(tmp_path) is None


# --- health


def test_ready_says_why_not(running: Running, engine: ScriptedEngine) -> None:
    assert ask(running, "/ready").body == {"ready": True, "reasons": []}
    failed = replace(READY.channels[1], state=ChannelState.FAILED)
    engine.current = replace(READY, ready=False, channels=(READY.channels[0], failed))
    answer = ask(running, "/ready")
    assert answer.status == 503
    assert answer.body["reasons"] == [{"channel": "emr-fhir", "state": "failed"}]
    engine.current = replace(READY, ready=False)
    assert "store" in ask(running, "/ready").body["reasons"][0]["summary"]
    full = ErrorInfo("FLOW-DISK", "nearly full", Stage.STORING, help="free space")
    engine.current = replace(READY, ready=False, refusing=full)
    answer = ask(running, "/ready")
    assert answer.status == 503
    assert answer.body["reasons"] == [{"code": "FLOW-DISK", "summary": "nearly full"}]
    assert ask(running, "/live").status == 200


def test_metrics_are_told_in_the_text_form(running: Running, engine: ScriptedEngine) -> None:
    answer = ask(running, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'carebus_sent_deliveries_total{channel="emr-fhir"} 2.0' in answer.body


# --- status and reload


def test_the_status_comes_back_as_it_went(client: ControlClient, engine: ScriptedEngine) -> None:
    assert client.status() == READY


def test_a_reload_says_what_runs_now(client: ControlClient, engine: ScriptedEngine) -> None:
    assert client.reload() == {
        "ok": True,
        "version": "def456",
        "diagnostics": [],
        "warnings": [],
    }
    assert engine.done == [("reload", 0, "王护士")]


def test_a_refused_reload_says_where_it_is_wrong(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    wrong = Diagnostic("Y001", Severity.ERROR, "a tab", Position("routes.yaml", 3, 1), help="none")
    engine.reloaded = Reloaded(False, "abc123", (wrong,))
    with pytest.raises(Refusal) as refused:
        client.reload()
    assert (refused.value.status, refused.value.code) == (422, "P018")
    assert refused.value.body["version"] == "abc123"
    assert refused.value.body["diagnostics"][0]["location"] == "routes.yaml:3:1"


def test_a_channel_is_stopped_and_started(running: Running, engine: ScriptedEngine) -> None:
    assert ask(running, "/api/v1/channels/his-adt/stop", "POST").status == 202
    assert ask(running, "/api/v1/channels/his-adt/start", "POST").status == 202
    assert engine.switched == [("stop", "his-adt"), ("start", "his-adt")]
    assert ask(running, "/api/v1/channels/nobody/stop", "POST").body["code"] == "P016"
    assert ask(running, "/api/v1/channels/his-adt/sing", "POST").body["code"] == "P012"
    assert ask(running, "/api/v1/channels/his-adt/stop").status == 405


# --- messages


def test_a_search_becomes_a_query(client: ControlClient, engine: ScriptedEngine) -> None:
    client.search(
        {
            "channel": "his-adt",
            "state": "dead",
            "type": "ADT^A01",
            "control_id": "C1",
            "patient": "77",
            "order": "O1",
            "since": "2026-01-01T08:00:00+08:00",
            "until": "2026-01-02T00:00:00Z",
            "limit": "7",
            "before": message_id(9),
            "visit": "",
        }
    )
    [query] = engine.queries
    assert query.channel == "his-adt"
    assert query.state is State.DEAD
    assert (query.type, query.control_id, query.limit) == ("ADT^A01", "C1", 7)
    assert query.keys == {"patient": "77", "order": "O1"}
    assert query.since == datetime(2026, 1, 1, tzinfo=UTC)
    assert query.until == datetime(2026, 1, 2, tzinfo=UTC)
    assert query.before == message_id(9)


@pytest.mark.parametrize(
    "query",
    [
        "stat=dead",
        "state=lost",
        "since=yesterday",
        "since=2026-01-01T08:00:00",
        "limit=0",
        "limit=1001",
        "limit=%D9%A1",
        "before=5",
        "channel=a&channel=b",
        "channel=" + "a" * 201,
    ],
)
def test_a_wrong_parameter_is_told(running: Running, engine: ScriptedEngine, query: str) -> None:
    answer = ask(running, f"/api/v1/messages?{query}")
    assert (answer.status, answer.body["code"]) == (400, "P013")
    assert answer.body["help"]
    assert engine.queries == []


def test_a_near_name_is_offered(running: Running, engine: ScriptedEngine) -> None:
    assert ask(running, "/api/v1/messages?pateint=7").body["help"] == "did you mean patient?"


def test_a_search_pages_and_hides_who_the_patient_is(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    for _ in range(5):
        engine.add(State.SENT)
    page = client.search({"limit": "3"})
    assert [one["control_id"] for one in page["messages"]] == ["C5", "C4", "C3"]
    assert "77" not in json.dumps(page["messages"][0]["deliveries"])
    assert "keys" not in page["messages"][0]
    rest = client.search({"limit": "3", "before": page["next"]})
    assert [one["control_id"] for one in rest["messages"]] == ["C2", "C1"]
    assert rest["next"] is None


def test_a_message_shows_its_history_and_content_only_when_asked(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    wanted = engine.add(State.SENT)
    shown = client.show(wanted, content=False)
    assert [event["state"] for event in shown["history"]] == ["received", "sent"]
    assert "content" not in shown
    assert "张" not in json.dumps(shown, ensure_ascii=False)
    full = client.show(wanted, content=True)
    assert full["content"]["text"] == BODY.decode("gb18030")
    assert full["attributes"] == {}
    assert full["keys"] == {"patient": "77"}
    assert full["history"][1]["sent"]["text"] == '{"resourceType":"Bundle"}'
    engine.purged = True
    assert client.show(wanted, content=True)["content"] is None


@pytest.mark.parametrize("wanted", ["nonsense", message_id(99), "..%2F..%2Fstatus"])
def test_an_unknown_message_is_told(running: Running, engine: ScriptedEngine, wanted: str) -> None:
    answer = ask(running, f"/api/v1/messages/{wanted}")
    assert answer.status == 404
    assert answer.body["code"] in ("P012", "P014")


# --- replay and cancel


def test_a_delivery_is_replayed_and_cancelled_by_its_actor(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    engine.add(State.DEAD)
    assert client.replay(10) == {"delivery": 10}
    assert client.cancel(10) == {"delivery": 10}
    assert engine.done == [("replay", 10, "王护士"), ("cancel", 10, "王护士")]


@pytest.mark.parametrize(("delivery", "status"), [(10, 409), (11, 404), (10**18, 404)])
def test_a_step_that_is_not_allowed_is_told(
    client: ControlClient, engine: ScriptedEngine, delivery: int, status: int
) -> None:
    engine.add(State.QUEUED)
    with pytest.raises(Refusal) as refused:
        client.replay(delivery)
    assert refused.value.status == status


def test_a_message_is_replayed_with_all_its_deliveries(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    wanted = engine.add(State.DEAD, deliveries=3)
    answer = client.replay_message(wanted)
    assert [one["delivery"] for one in answer["deliveries"]] == [10, 11, 12]
    with pytest.raises(Refusal) as refused:
        client.replay_message(wanted)
    assert (refused.value.status, refused.value.code) == (409, "P015")


def test_messages_that_no_route_wanted_are_routed_again(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    for state in (State.UNROUTED, State.FILTERED, State.UNROUTED):
        engine.add(State.QUEUED, deliveries=0)
        engine.messages[-1] = replace(engine.messages[-1], state=state)
    [one] = client.replay_message(message_id(2))["deliveries"]
    assert (one["message_id"], one["delivery"], one["state"]) == (message_id(2), None, "filtered")
    planned = client.replay_many({"state": "unrouted"}, dry_run=True)
    assert [one["message_id"] for one in planned["deliveries"]] == [message_id(1), message_id(3)]
    client.replay_many({"state": "unrouted"}, dry_run=False)
    assert engine.done == [("reroute", number, "王护士") for number in (2, 1, 3)]


def test_many_are_replayed_oldest_first_and_only_after_a_dry_run(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    engine.add(State.DEAD)
    engine.add(State.SENT)
    engine.add(State.DEAD, deliveries=2)
    engine.add(State.DEAD, channel="ward-oru")
    wanted = {"state": "dead", "channel": "emr-fhir"}
    planned = client.replay_many(wanted, dry_run=True)
    assert [one["delivery"] for one in planned["deliveries"]] == [10, 30, 31]
    assert engine.done == []
    done = client.replay_many(wanted, dry_run=False)
    assert [one["delivery"] for one in done["deliveries"]] == [10, 30, 31]
    assert done["failed"] == []
    assert [step[:2] for step in engine.done] == [("replay", 10), ("replay", 30), ("replay", 31)]


def test_a_replay_of_many_goes_on_after_a_refusal(
    client: ControlClient, engine: ScriptedEngine
) -> None:
    engine.add(State.UNCERTAIN)  # the scripted engine does not replay those
    answer = client.replay_many({"state": "uncertain"}, dry_run=False)
    assert answer["deliveries"] == []
    assert answer["failed"][0]["error"]["code"] == "STORE-STEP"


def test_a_replay_of_too_many_is_refused_whole(
    client: ControlClient, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "MOST", 3)
    monkeypatch.setattr(replays, "_PAGE", 2)
    for _ in range(4):
        engine.add(State.DEAD)
    with pytest.raises(Refusal) as refused:
        client.replay_many({"state": "dead"}, dry_run=False)
    assert (refused.value.status, refused.value.code) == (422, "P017")
    assert engine.done == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b'{"state":"queued"}', 422),
        (b"[]", 400),
        (b"{", 400),
        (b'{"state":1}', 400),
        (b'{"state":"dead","dry_run":"no"}', 400),
        (b'{"a":"' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_a_wrong_body_is_told(
    running: Running, engine: ScriptedEngine, body: bytes, status: int
) -> None:
    answer = ask(running, "/api/v1/replay", "POST", body=body)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("actor", ["a" * 65, "a%0Ab"])
def test_an_actor_is_a_name(running: Running, engine: ScriptedEngine, actor: str) -> None:
    answer = ask(running, "/api/v1/reload", "POST", headers={"Carebus-Actor": actor})
    assert (answer.status, answer.body["code"]) == (400, "P013")
    assert engine.done == []


def test_without_a_name_the_actor_is_the_api(running: Running, engine: ScriptedEngine) -> None:
    assert ask(running, "/api/v1/reload", "POST").status == 200
    assert engine.done == [("reload", 0, "api")]


# --- what goes wrong


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/nothing", 404), ("GET", "/", 404), ("POST", "/api/v1/status", 405)],
)
def test_wrong_paths_and_methods_are_problems(
    running: Running, engine: ScriptedEngine, method: str, path: str, status: int
) -> None:
    answer = ask(running, path, method)
    assert (answer.status, answer.body["code"]) == (status, "P012")


def test_a_store_that_is_down_is_told(running: Running, engine: ScriptedEngine) -> None:
    engine.down = True
    answer = ask(running, "/api/v1/messages")
    assert (answer.status, answer.body["code"]) == (503, "STORE-FULL")


LogLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure("json", stream=stream, level=logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def test_nothing_of_a_search_reaches_the_log(
    running: Running, engine: ScriptedEngine, log_lines: LogLines
) -> None:
    ask(running, "/api/v1/messages?patient=P4711")
    ask(running, f"/api/v1/messages/{engine.add(State.SENT)}?content=true")
    assert [line["event"] for line in log_lines() if line["level"] == "info"] == ["content shown"]
    assert "P4711" not in json.dumps(log_lines())


def test_no_engine_is_told(tmp_path: Path) -> None:
    client = ControlClient(tmp_path, actor="a")
    with pytest.raises(Unreachable, match="no engine runs"):
        client.status()
    nobody = Access("http://127.0.0.1:9", new_token())
    with announced(tmp_path, nobody), pytest.raises(Unreachable) as unreachable:
        client.status()
    assert unreachable.value.info.help


def test_a_defect_is_a_problem_whose_log_holds_no_content(
    running: Running, engine: ScriptedEngine, log_lines: LogLines
) -> None:
    async def broken() -> None:
        raise ValueError("PID|||4711")

    engine.overview = broken  # type: ignore[assignment,method-assign]
    answer = ask(running, "/api/v1/status")
    assert (answer.status, answer.body["code"]) == (500, "P022")
    deadline = time.monotonic() + 5
    while not log_lines() and time.monotonic() < deadline:  # it is written after the answer
        time.sleep(0.005)
    [line] = log_lines()
    assert (line["level"], line["exception"]) == ("error", "ValueError")
    assert any("app.py" in place for place in line["trace"])
    assert "4711" not in json.dumps([line, answer.body])


async def test_an_address_in_use_is_told(running: Running) -> None:
    async def nothing(*_: object) -> None: ...

    with pytest.raises(ConfigError) as refused:
        async with serve(nothing, Listen("127.0.0.1", running.port)):
            pass
    assert refused.value.info.code == "P020"
    assert "CAREBUS_API_LISTEN" in (refused.value.info.help or "")
