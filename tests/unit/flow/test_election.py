"""One of several processes does a job, and another one when it is gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog

from engine.contract import ErrorInfo, Stage, StoreUnavailable
from engine.flow.election import Election

TERM = timedelta(milliseconds=200)
POLL = timedelta(milliseconds=20)
MARGIN = timedelta(milliseconds=60)


class Leases:
    """Named leases in memory, by the loop's clock; ``cut`` owners do not reach them."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, int, float]] = {}
        self.epoch = 0
        self.cut: set[str] = set()

    def _reach(self, owner: str) -> float:
        if owner in self.cut:
            raise StoreUnavailable(ErrorInfo("STORE-IO", "away", Stage.STARTING))
        return asyncio.get_running_loop().time()

    async def acquire(self, name: str, owner: str, term: timedelta) -> int | None:
        now = self._reach(owner)
        if name in self.held and self.held[name][2] > now:
            return None
        self.epoch += 1
        self.held[name] = (owner, self.epoch, now + term.total_seconds())
        return self.epoch

    async def renew(self, name: str, owner: str, epoch: int, term: timedelta) -> bool:
        now = self._reach(owner)
        if self.held.get(name, ("", 0, 0.0))[:2] != (owner, epoch):
            return False
        self.held[name] = (owner, epoch, now + term.total_seconds())
        return True

    async def release(self, name: str, owner: str, epoch: int) -> None:
        self._reach(owner)
        if self.held.get(name, ("", 0, 0.0))[:2] == (owner, epoch):
            del self.held[name]


class Job:
    """Counts who does it, and that never two do."""

    def __init__(self) -> None:
        self.doing: list[str] = []
        self.history: list[str] = []

    async def do(self, owner: str) -> None:
        self.doing.append(owner)
        self.history.append(owner)
        assert len(self.doing) == 1
        try:
            await asyncio.Event().wait()
        finally:
            self.doing.remove(owner)

    async def until(self, *doing: str) -> None:
        async with asyncio.timeout(3):
            while self.doing != list(doing):
                await asyncio.sleep(0.005)


def leading(leases: Leases, job: Job, owner: str) -> asyncio.Task[None]:
    election = Election(
        leases, "poll", owner, structlog.get_logger(), term=TERM, poll=POLL, margin=MARGIN
    )
    return asyncio.create_task(election.lead(lambda: job.do(owner)))


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_works_and_the_next_follows_a_stop_at_once() -> None:
    leases, job = Leases(), Job()
    first = leading(leases, job, "a")
    await job.until("a")
    second = leading(leases, job, "b")
    await asyncio.sleep(3 * TERM.total_seconds())
    assert job.doing == ["a"]
    await ended(first)
    await job.until("b")
    await ended(second)
    assert job.history == ["a", "b"]


async def test_who_is_cut_off_stops_before_another_begins() -> None:
    leases, job = Leases(), Job()
    first = leading(leases, job, "a")
    await job.until("a")
    second = leading(leases, job, "b")
    leases.cut.add("a")
    await job.until("b")  # `do` asserts that nobody else works
    leases.cut.clear()
    await asyncio.sleep(TERM.total_seconds())
    assert job.doing == ["b"]
    await ended(second)
    await job.until("a")
    await ended(first)


async def test_a_lease_that_another_took_ends_the_work() -> None:
    leases, job = Leases(), Job()
    first = leading(leases, job, "a")
    await job.until("a")
    leases.held["poll"] = ("z", 99, asyncio.get_running_loop().time() + 60)
    await job.until()
    await ended(first)
    assert leases.held["poll"][0] == "z"


async def test_work_that_fails_ends_the_leading() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    leases = Leases()
    election = Election(leases, "poll", "a", structlog.get_logger(), term=TERM, poll=POLL)
    with pytest.raises(ZeroDivisionError):
        await election.lead(fail)
    assert not leases.held
