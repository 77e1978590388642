"""The load and the sink are honest: sizes, numbers, order, figures."""

from __future__ import annotations

import argparse
from array import array
from pathlib import Path

import aiohttp
import pytest

from bench.generator import percentiles, run
from bench.messages import KINDS, adt, number_in, oru20
from bench.project import REPOSITORY
from bench.report import at_least, at_most, plain
from bench.rig import SinkProcess
from bench.sampling import attribute
from bench.sections import Goal, order_kept
from bench.sinks import HttpSink, MllpSink, obey


def test_messages_have_the_sizes_that_are_claimed() -> None:
    assert 900 <= len(adt(1, 1)) <= 1100
    assert 3900 <= len(oru20(1, 1)) <= 4300
    assert oru20(1, 1).count(b"\rOBX|") == 20


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_message_names_its_number_and_its_patient(kind: str) -> None:
    frame = KINDS[kind](1234567890, 77)
    assert number_in(frame) == 1234567890
    assert b"|P0000077^" in frame
    assert frame.startswith(b"\x0bMSH|")
    assert frame.endswith(b"\r\x1c\r")
    assert b"%" not in frame


def test_a_body_without_a_number_says_so() -> None:
    assert number_in(b"{}") == -1


def options(port: int, **changed: float) -> argparse.Namespace:
    given = {
        "host": "127.0.0.1",
        "port": port,
        "kind": "adt",
        "connections": 4,
        "rate": 0.0,
        "count": 200,
        "seconds": 5.0,
        "patients": 10,
        "first": 0,
    }
    return argparse.Namespace(**(given | changed))


async def test_every_message_is_sent_once_and_in_the_order_of_its_patient() -> None:
    sink = MllpSink()
    port = await sink.up()
    result = await run(options(port))
    await sink.down()
    assert sorted(sink.numbers) == list(range(200))
    assert order_kept(sink.numbers, 8)  # the ten patients, as whole rounds of four connections
    assert result["acknowledged"] == result["started"] == 200
    assert result["lost_connections"] == 0


async def test_a_steady_rate_is_kept_and_ends() -> None:
    sink = MllpSink()
    port = await sink.up()
    result = await run(options(port, rate=400.0, count=100))
    await sink.down()
    took = float(str(result["ended_at"])) - float(str(result["began_at"]))
    assert result["acknowledged"] == 100
    assert 0.2 <= took < 2.0


def test_a_broken_order_is_found() -> None:
    assert order_kept([0, 1, 4, 5, 0], 4)
    assert not order_kept([4, 0], 4)


def test_percentiles_are_of_the_measured_values() -> None:
    found = percentiles(array("I", range(1000, 101_000, 1000)))
    assert found == {"p50": 51.0, "p90": 91.0, "p99": 100.0, "max": 100.0}
    assert percentiles(array("I")) == {}


def test_samples_go_to_the_innermost_room_of_ours() -> None:
    ours = REPOSITORY / "engine" / "mapping" / "closures.py"
    outer = REPOSITORY / "engine" / "flow" / "dispatch.py"
    library = REPOSITORY / ".venv" / "lib" / "x.py"
    rooms, functions, threads = attribute(
        [
            f"thread (7): MainThread;run ({outer}:3);apply ({ours}:9);dumps ({library}:1) 30\n",
            f"run ({outer}:4) 10\n",
            f"main ({library}:1) 5",
            "",
        ]
    )
    assert rooms == {"engine/mapping": 30, "engine/flow": 10, "event loop and libraries": 5}
    assert functions["engine/mapping: apply"] == 30
    assert threads == {"MainThread": 30}


def test_figures_say_whether_a_goal_was_met() -> None:
    assert at_least("rate", 2701.4, 2700, "msg/s").met is True
    assert at_most("p99", 20.1, 20, "ms").met is False
    assert plain("disk", 0.171, "ms").value == "0.17 ms"


async def test_the_http_sink_answers_as_it_is_told() -> None:
    sink = HttpSink()
    port = await sink.up()
    statuses: list[int] = []
    async with aiohttp.ClientSession() as client:
        for mode in ("ok", "503", "400", "ok"):
            await obey(sink, f"mode {mode}")
            body = adt(len(statuses), 1) * 100  # more than one read
            async with client.post(f"http://127.0.0.1:{port}/fhir", data=body) as response:
                statuses.append(response.status)
    await sink.down()
    assert statuses == [200, 503, 400, 200]
    assert list(sink.numbers) == [0, 3]
    assert sink.refused == 2


async def test_a_sink_process_obeys_line_by_line(tmp_path: Path) -> None:
    async with SinkProcess("mllp") as sink:
        port = int((await sink.command("up 0"))["port"])
        await run(options(port, count=20))
        assert await sink.taken() == 20
        assert sorted(await sink.numbers(tmp_path)) == list(range(20))
        assert await sink.command("down") == {"ok": True}
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await run(options(port, count=1))
        assert "error" in await sink.command("dance")


def test_a_goal_is_read_from_what_a_benchmark_prints() -> None:
    opened = Goal("opening", r"opened in ([\d,.]+) ms", 5000, "ms")
    assert opened.figure("opened in 4,212 ms").met is True
    assert opened.figure("opened in 5,212 ms").met is False
    assert opened.figure("it crashed").met is False
    against = Goal("accepting", r"full [\d,.]+ \(([+-][\d.]+)%", -10, "%", at_least=True)
    assert against.figure("empty 10, full 9,000.5 (-9.1%)").met is True
    assert against.figure("empty 10, full 11 (+3.0%)").met is True
    assert against.figure("empty 10, full 8 (-12.0%)").met is False
