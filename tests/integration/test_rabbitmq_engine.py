"""``carebus run`` with RabbitMQ and SQLite: the engine is killed, and the broker is."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from bench.messages import adt
from bench.project import write_project
from bench.sinks import HttpSink
from engine.broker.rabbitmq.topology import lane_plan
from engine.contract import QueueSpec
from engine.demo.child import EngineChild, free_ports
from engine.demo.sender import Patience, SendingSystem
from tests.faults.crash import CrashPlan, Witness, crash_run, judge, messages, settled
from tests.servers.rabbitmq import RabbitNode, shared_node


@pytest.fixture(name="node")
def _node() -> RabbitNode:
    return shared_node()


def over(node: RabbitNode, root: Path, prefix: str) -> str:
    prefix = f"{prefix}{os.getpid()}"
    (root / ".env").write_text(f"CAREBUS_BROKER_URL={node.url}?prefix={prefix}\n", "utf-8")
    return prefix


async def test_an_engine_that_is_killed_over_rabbitmq_loses_nothing(
    tmp_path: Path, node: RabbitNode
) -> None:
    over(node, tmp_path, "killed")
    report = await crash_run(tmp_path, CrashPlan(kills=4, seed=11))
    assert report.verdict.kept, str(report)


async def test_a_broker_that_is_killed_and_emptied_under_load_loses_nothing(
    tmp_path: Path, node: RabbitNode
) -> None:
    prefix = over(node, tmp_path, "emptied")
    plan = CrashPlan(kills=0, seed=0)
    sink, witness = HttpSink(), Witness()
    intake, port = free_ports(2)
    project = write_project(tmp_path, intake=intake, sink=port, duplicates=True, lean=True)
    await sink.up(port)
    senders = [
        SendingSystem(intake, messages(index, plan), witness, patience=Patience(reconnect=0.02))
        for index in range(plan.connections)
    ]
    try:
        async with EngineChild(tmp_path, project.data, log=tmp_path / "engine.log") as engine:
            await engine.start()
            await engine.ready()
            tasks = [asyncio.create_task(sender.run()) for sender in senders]
            await asyncio.sleep(1)
            await asyncio.to_thread(node.kill)
            before = len(witness.answered)
            await asyncio.sleep(1)
            assert len(witness.answered) > before, "without its broker it must accept"
            await asyncio.to_thread(node.start)
            await asyncio.sleep(1)
            for lane in range(8):
                name = lane_plan(prefix, QueueSpec(f"sink-fhir/{lane}")).lane.name
                await asyncio.to_thread(node.ctl, "delete_queue", name)
            for sender in senders:
                sender.stop()
            async with asyncio.timeout(30):
                await asyncio.gather(*tasks)
            await settled(witness, sink)
            assert await engine.stop(timedelta(seconds=20)) == 0
    finally:
        await sink.down()
    verdict = await judge(project, plan, witness, sink.numbers)
    assert verdict.kept, str(verdict)
    assert adt(1, 1) not in (tmp_path / "engine.log").read_bytes()
