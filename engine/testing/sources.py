"""What every source promises, S1 to S14.

Bind it with ``class TestXSource(SourceConformance): harness = XSourceHarness``.  Every check gets
a started harness (``rig``) of its own.  Needs pytest with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import ClassVar, Final

import pytest

from engine.contract import Capabilities, Limits, Outcome
from engine.testing.accepting import RecordingAccept
from engine.testing.harness import (
    Gone,
    SourceHarness,
    SourceHarnessType,
    SourcePeer,
    unbound,
)
from engine.testing.promises import Footprint, LogWatch, promise
from engine.testing.running import Running, closed, running, services_for, warmed_up

MIB: Final = 1024 * 1024


async def answer_or_nothing(peer: SourcePeer, within: float) -> Outcome | None:
    """The peer's next answer; None when the connection ends or nothing comes in time."""
    try:
        async with asyncio.timeout(within):
            return await peer.answer()
    except (TimeoutError, Gone):
        return None


class SourceConformance:
    """Numbers may be lowered by a binding that has a reason (a slow device), never raised away."""

    harness: ClassVar[SourceHarnessType] = unbound
    largest: ClassVar[int] = 10 * MIB  # S2
    connects: ClassVar[int] = 1000  # S10
    oversize: ClassVar[int] = 48 * MIB  # S11, against a limit of 64 KiB
    load: ClassVar[int] = 200  # S14, messages a connection
    quiet: ClassVar[float] = 0.15  # seconds in which something forbidden would have happened
    patience: ClassVar[float] = 5.0  # seconds to wait for what must happen

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[SourceHarness]:
        rig = type(self).harness(tmp_path)
        await rig.start()
        yield rig
        await rig.stop()

    async def answered(self, peer: SourcePeer) -> Outcome:
        """The peer's next answer.  Raises AssertionError when none comes."""
        try:
            async with asyncio.timeout(self.patience):
                return await peer.answer()
        except (TimeoutError, Gone) as error:
            raise AssertionError(f"the peer got no answer ({type(error).__name__})") from None

    async def works(self, rig: SourceHarness, live: Running, content: bytes) -> None:
        """One exchange from a new peer is good.  Raises AssertionError."""
        body = rig.body(content)
        peer = await rig.connect()
        await peer.offer(body)
        try:
            async with asyncio.timeout(self.patience):
                while body not in live.accept.bodies:
                    await live.accept.count(len(live.accept.received) + 1, within=self.patience)
        except TimeoutError:
            raise AssertionError("a sound message from another peer is not taken") from None
        if "answers" not in rig.lacks:
            outcome = await self.answered(peer)
            assert outcome is Outcome.ACCEPTED, f"a sound message was answered with {outcome}"
        await peer.leave()

    @promise("S1", "open and close in any order, any number of times; nothing is left behind")
    async def test_s01_life_cycle(self, rig: SourceHarness) -> None:
        services = services_for(rig)
        source = rig.create(services)
        await closed(source)  # never opened
        await warmed_up(rig)
        before = Footprint.now()
        await source.open()
        await closed(source)  # never run
        for round in range(2):
            await source.open()
            accept = RecordingAccept()
            live = Running(source, accept, services, asyncio.create_task(source.run(accept)))
            await self.works(rig, live, b"round %d" % round)
            await live.stop()
            await closed(source)
        await before.restored(within=self.patience)

    @promise("S2", "bytes arrive unchanged, of any value and size")
    async def test_s02_bytes_unchanged(self, rig: SourceHarness) -> None:
        contents = [bytes(range(256)), b"x", b"y" * 65535, b"z" * 65536, b"w" * 65537]
        contents.append(bytes(range(97, 123)) * (self.largest // 26))
        if "empty" not in rig.lacks:
            contents.append(b"")
        async with running(rig) as live:
            for number, content in enumerate(contents, 1):
                body = rig.body(content)
                peer = await rig.connect()
                offer = asyncio.create_task(peer.offer(body))
                try:
                    await live.accept.count(number, within=4 * self.patience)
                except TimeoutError:
                    raise AssertionError(f"{len(body)} bytes never arrived") from None
                await offer
                same = live.accept.bodies[-1] == body
                assert same, f"{len(body)} bytes arrived changed"
                await peer.leave()
        assert len(live.accept.received) == len(contents), "something arrived that was not sent"

    @promise("S3", "framing does not depend on how the bytes were cut", needs=("framing",))
    async def test_s03_chunkings(self, rig: SourceHarness) -> None:
        bodies = [rig.body(b"first \x0b \x1c end"), rig.body(b"2"), rig.body(b"three" * 40)]
        stream = b"".join(rig.wire(body) for body in bodies)
        for size in (1, 7, len(stream)):
            async with running(rig) as live:
                peer = await rig.connect()
                for start in range(0, len(stream), size):
                    await peer.write(stream[start : start + size])
                    await asyncio.sleep(0)
                if "answers" not in rig.lacks:
                    for _ in bodies:
                        assert await self.answered(peer) is Outcome.ACCEPTED, (
                            "a message was refused"
                        )
                try:
                    await live.accept.count(len(bodies), within=self.patience)
                except TimeoutError:
                    raise AssertionError(f"messages were lost in pieces of {size}") from None
                await peer.leave()
            assert live.accept.bodies == bodies, f"pieces of {size} bytes changed the messages"

    @promise(
        "S4",
        "a positive answer only after accept returned ACCEPTED or DUPLICATE",
        needs=("answers",),
    )
    async def test_s04_answers_after_accept(self, rig: SourceHarness) -> None:
        async with running(rig) as live:
            for outcome in (Outcome.ACCEPTED, Outcome.DUPLICATE):
                live.accept.outcome = outcome
                live.accept.hold()
                calls = len(live.accept.received)
                peer = await rig.connect()
                await peer.offer(rig.body(outcome.value.encode()))
                await live.accept.count(calls + 1, within=self.patience)
                early = await answer_or_nothing(peer, self.quiet)
                assert early is None, f"answered {early} before accept returned"
                live.accept.release()
                answer = await self.answered(peer)
                assert answer is Outcome.ACCEPTED, f"{outcome} was answered with {answer}"
                await peer.leave()

    @promise("S5", "REJECTED and UNAVAILABLE give the protocol's two negatives", needs=("answers",))
    async def test_s05_negative_answers(self, rig: SourceHarness) -> None:
        async with running(rig) as live:
            for outcome in (Outcome.REJECTED, Outcome.UNAVAILABLE, Outcome.ACCEPTED):
                live.accept.outcome = outcome
                peer = await rig.connect()
                await peer.offer(rig.body(outcome.value.encode()))
                answer = await self.answered(peer)
                assert answer is outcome, f"{outcome} was answered with {answer}"
                await peer.leave()

    @promise("S6", "while accept waits its peer waits, memory is bounded, other peers are served")
    async def test_s06_accept_hangs(self, rig: SourceHarness) -> None:
        async with running(rig) as live:
            held = rig.body(b"held")
            live.accept.hold(lambda inbound: inbound.payload.body == held)
            stuck = await rig.connect()
            await stuck.offer(held)
            await live.accept.count(1, within=self.patience)
            if "connections" not in rig.lacks:
                await self.works(rig, live, b"other peer")
            if "framing" not in rig.lacks:
                await self._floods(rig, stuck, live)
            await stuck.leave()
        assert live.accept.bodies.count(held) == 1, "the waiting message was offered again"

    async def _floods(self, rig: SourceHarness, stuck: SourcePeer, live: Running) -> None:
        """A peer that goes on sending while it waits is stopped by back-pressure."""
        block = rig.wire(rig.body(b"f" * 4000)) * 16
        sent = 0
        taken = len(live.accept.received)
        try:
            async with asyncio.timeout(self.quiet * 4):
                while sent < 64 * MIB:
                    await stuck.write(block)
                    sent += len(block)
        except (TimeoutError, Gone):
            pass
        assert sent < 32 * MIB, f"{sent} bytes were taken while one message waited"
        more = len(live.accept.received) - taken
        limit = rig.spec.source.capabilities if rig.spec.source else Capabilities()
        assert more < max(2, limit.max_in_flight), f"{more} more were offered on one connection"

    @promise("S7", "stopped while accept waits: no positive answer ever", needs=("answers",))
    async def test_s07_stop_while_waiting(self, rig: SourceHarness) -> None:
        await warmed_up(rig)
        before = Footprint.now()
        async with running(rig) as live:
            live.accept.hold()
            peer = await rig.connect()
            await peer.offer(rig.body(b"unanswered"))
            await live.accept.count(1, within=self.patience)
            await live.stop()
            live.accept.release()
            answer = await answer_or_nothing(peer, self.quiet)
            assert answer is not Outcome.ACCEPTED, "a positive answer was sent while stopping"
            await peer.leave()
        await before.restored(within=self.patience)

    @promise("S8", "the peer leaves before the answer: still offered once", needs=("connections",))
    async def test_s08_peer_leaves(self, rig: SourceHarness) -> None:
        async with running(rig) as live:
            live.accept.hold()
            peer = await rig.connect()
            await peer.offer(rig.body(b"left behind"))
            await live.accept.count(1, within=self.patience)
            await peer.leave()
            await asyncio.sleep(self.quiet)
            assert live.accept.cancelled == 0, "accept was cancelled because the peer left"
            live.accept.release()
            await self.works(rig, live, b"next")
            left = live.accept.bodies.count(rig.body(b"left behind"))
            assert left == 1, f"the message was offered {left} times"
            assert live.accept.returned == 2, "accept did not get to return"

    @promise("S9", "malformed input ends that exchange only", needs=("malformed",))
    async def test_s09_malformed(self, rig: SourceHarness) -> None:
        async with running(rig) as live:
            for number, bad in enumerate(rig.malformed()):
                peer = await rig.connect()
                try:
                    await peer.write(bad)
                    answer = await answer_or_nothing(peer, self.quiet)
                except Gone:
                    answer = None
                positive = answer is Outcome.ACCEPTED
                assert not positive, f"malformed input {number} got a positive answer"
                offered = len(live.accept.received) - number
                assert offered == 0, f"malformed input {number} was offered as a message"
                await peer.leave()
                await self.works(rig, live, b"after malformed %d" % number)
            assert not live.task.done(), "malformed input ended the source"

    @promise("S10", "many connects without a byte leave nothing behind", needs=("connections",))
    async def test_s10_silent_connects(self, rig: SourceHarness) -> None:
        async with running(rig) as live:
            await self.works(rig, live, b"before")
            before = Footprint.now()
            for _ in range(self.connects // 20):
                peers = [await rig.connect() for _ in range(20)]
                for peer in peers:
                    await peer.leave()
            await before.restored(within=self.patience)
            await self.works(rig, live, b"after")
            assert not live.task.done(), "silent connects ended the source"

    @promise("S11", "oversize input is refused, and not buffered")
    async def test_s11_oversize(self, rig: SourceHarness) -> None:
        services = services_for(rig, Limits(message=65536))
        async with running(rig, services=services) as live:
            await self.works(rig, live, b"small")
            peer = await rig.connect()
            tracemalloc.start()
            try:
                try:
                    async with asyncio.timeout(4 * self.patience):
                        await peer.pour(self.oversize)
                        answer = None if "answers" in rig.lacks else await peer.answer()
                except Gone:
                    answer = None
                except TimeoutError:
                    raise AssertionError("oversize input is not refused: its peer hangs") from None
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert answer is not Outcome.ACCEPTED, "oversize input got a positive answer"
            assert peak < self.oversize // 2, f"{peak} bytes were buffered"
            await self.works(rig, live, b"still there")
            sizes = [len(body) for body in live.accept.bodies]
            assert max(sizes) <= 65536, "oversize input was offered as a message"
            await peer.leave()

    @promise("S12", "an unanswered message returns by itself exactly if `redelivers` says so")
    async def test_s12_redelivery(self, rig: SourceHarness) -> None:
        body = rig.body(b"unanswered")
        async with running(rig) as live:
            live.accept.hold()
            peer = await rig.connect()
            await peer.offer(body)
            await live.accept.count(1, within=self.patience)
            await live.stop()
        await peer.leave()
        claims = rig.spec.source is not None and rig.spec.source.capabilities.redelivers
        async with running(rig) as again:
            try:
                await again.accept.count(1, within=self.patience if claims else self.quiet)
            except TimeoutError:
                assert not claims, "declares `redelivers`, but the message did not come again"
            else:
                assert claims, "the message came again, but `redelivers` is not declared"
                assert again.accept.bodies == [body], "what came again is not what was sent"

    @promise("S13", "no content and no secret in a log line at INFO or above")
    async def test_s13_logs(self, rig: SourceHarness) -> None:
        marker = "Zzyzxmarker"
        content = marker.encode()
        services = services_for(rig, Limits(message=65536))
        accept = RecordingAccept()
        with LogWatch() as watch:
            async with running(rig, accept, services=services) as live:
                for outcome in Outcome:
                    accept.outcome = outcome
                    peer = await rig.connect()
                    calls = len(accept.received)
                    await peer.offer(rig.body(content))
                    await accept.count(calls + 1, within=self.patience)
                    if "answers" not in rig.lacks:
                        await answer_or_nothing(peer, 1.0)
                    await peer.leave()
                if "malformed" not in rig.lacks:
                    for bad in rig.malformed():
                        peer = await rig.connect()
                        with suppress(Gone):
                            await peer.write(content + bad)
                        await answer_or_nothing(peer, self.quiet / 3)
                        await peer.leave()
                accept.hold()
                calls = len(accept.received)
                peer = await rig.connect()
                await peer.offer(rig.body(content + b" last"))
                await accept.count(calls + 1, within=self.patience)
                await live.stop()
                await peer.leave()
        watch.assert_free_of(services, marker, *rig.secrets)

    @promise("S14", "order is kept on each connection under load")
    async def test_s14_order_under_load(self, rig: SourceHarness) -> None:
        waits: list[float] = []
        lines = 1 if "connections" in rig.lacks else 4
        together = 1 if "framing" in rig.lacks else 5
        async with running(rig) as live:

            async def line(name: int) -> None:
                peer = await rig.connect()
                for first in range(0, self.load, together):
                    numbers = range(first, min(first + together, self.load))
                    bodies = [rig.body(b"line %d number %06d." % (name, at)) for at in numbers]
                    start = perf_counter()
                    if together > 1:
                        await peer.write(b"".join(rig.wire(body) for body in bodies))
                    else:
                        await peer.offer(bodies[0])
                    if "answers" not in rig.lacks:
                        for _ in bodies:
                            outcome = await self.answered(peer)
                            assert outcome is Outcome.ACCEPTED, f"under load: {outcome}"
                            waits.append(perf_counter() - start)
                await peer.leave()

            async with asyncio.TaskGroup() as group:
                for name in range(lines):
                    group.create_task(line(name))
            await live.accept.count(lines * self.load, within=4 * self.patience)
        for name in range(lines):
            seen = [body for body in live.accept.bodies if b"line %d number" % name in body]
            assert len(seen) == self.load, f"{len(seen)} of {self.load} messages arrived"
            numbers = [_number(body) for body in seen]
            assert all(a < b for a, b in pairwise(numbers)), "order was not kept"
        if waits:
            cuts = [cut * 1000 for cut in quantiles(waits, n=100)]
            print(f"{rig.spec.name} source: p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms")


def _number(body: bytes) -> int:
    start = body.index(b" number ") + 8
    return int(body[start : start + 6])
