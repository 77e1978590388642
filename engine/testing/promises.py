"""The list of promises: a suite's checks carry an id and what they need of a protocol, so that a
check that cannot apply is said aloud with its reason, and never skipped in silence."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from engine.testing.services import MemoryServices

SuiteT = TypeVar("SuiteT")
Method = Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of the list: ``S4``, its sentence, the traits a protocol must have for it."""

    id: str
    sentence: str
    needs: tuple[str, ...] = ()


TRAITS: Final[Mapping[str, str]] = {
    "answers": "the peer is told an outcome in the protocol itself",
    "connections": "peers hold connections, one exchange after the other on each",
    "framing": "messages share a byte stream and are told apart by framing",
    "malformed": "there is input that is not a message of the protocol",
    "empty": "a message may be empty",
    "retry_after": "a temporary refusal can say when to come again",
    "correlates": "a reply names the request it answers",
    "nacks": "a broker can refuse a publish after taking it",
    "durable": "what a broker confirmed survives its own restart",
    "encrypted": "what a store keeps cannot be read without its key",
    "network": "a broker is reached over a connection that can be cut",
}
"""What a harness may declare that its protocol lacks, each with a reason."""


def promise(id: str, sentence: str, *, needs: tuple[str, ...] = ()) -> Callable[[Method], Method]:
    """Mark a suite's method as the check of one promise.

    When the bound harness lacks a needed trait, the check prints the harness's reason and passes.
    """
    unknown = set(needs) - TRAITS.keys()
    if unknown:
        raise ValueError(f"unknown traits: {sorted(unknown)}")
    row = Promise(id, sentence, needs)

    def mark(method: Method) -> Method:
        @functools.wraps(method)
        async def checked(self: Any, rig: Any) -> None:
            reasons = [rig.lacks[trait] for trait in needs if trait in rig.lacks]
            if reasons:
                print(f"{id} does not apply to {rig.spec.name}: {'; '.join(reasons)}")
                return
            await method(self, rig)

        checked.promise = row  # type: ignore[attr-defined]
        return checked

    return mark


def promises(suite: type) -> Mapping[str, tuple[Promise, str]]:
    """The promises of a suite by id, each with the name of the method that checks it."""
    rows = {}
    for name in dir(suite):
        row = getattr(getattr(suite, name), "promise", None)
        if isinstance(row, Promise):
            rows[row.id] = (row, name)
    return dict(sorted(rows.items(), key=lambda item: int(re.sub(r"\D", "", item[0]))))


async def broken_promises(
    suite: type, harness: Callable[[Path], Any], *, within: float = 30.0
) -> Mapping[str, str]:
    """Run a whole suite against a harness outside of pytest: id → what was wrong.

    A check that takes longer than ``within`` seconds counts as broken.  This is how deliberately
    wrong connectors are shown to be caught.
    """
    broken = {}
    for id, (_, name) in promises(suite).items():
        with tempfile.TemporaryDirectory() as folder:
            rig = harness(Path(folder))
            await rig.start()
            try:
                async with asyncio.timeout(within):
                    await getattr(suite(), name)(rig)
            except (Exception, pytest.fail.Exception) as error:  # whatever it does is its verdict
                broken[id] = f"{type(error).__name__}: {error}"
            finally:
                await rig.stop()
    return broken


@dataclass(frozen=True, slots=True)
class Footprint:
    """How many tasks and file descriptors there are; take one before, and ask after."""

    tasks: int
    descriptors: int

    @classmethod
    def now(cls) -> Footprint:
        """Needs a running loop.  Where the system shows no descriptors, they count as 0."""
        descriptors = 0
        if sys.platform == "linux":
            descriptors = len(os.listdir("/proc/self/fd"))
        return cls(len(asyncio.all_tasks()), descriptors)

    async def restored(self, *, within: float) -> None:
        """Return when nothing more is left than there was.  Raises AssertionError."""
        now = self.now()
        try:
            async with asyncio.timeout(within):
                while now.tasks > self.tasks or now.descriptors > self.descriptors:
                    await asyncio.sleep(0.005)
                    now = self.now()
        except TimeoutError:
            left = f"tasks {self.tasks} -> {now.tasks}, "
            left += f"descriptors {self.descriptors} -> {now.descriptors}"
            raise AssertionError(f"something was left behind: {left}") from None


class LogWatch(logging.Handler):
    """While entered, records what is logged through the standard library at INFO or above."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += logging.Formatter().formatException(record.exc_info)
        self.lines.append(text)

    def __enter__(self) -> LogWatch:
        self._level = logging.getLogger().level
        logging.getLogger().addHandler(self)
        logging.getLogger().setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
        logging.getLogger().setLevel(self._level)

    def assert_free_of(self, services: MemoryServices, *secrets: str) -> None:
        """Raise AssertionError when a secret is in any log line at INFO or above, as text or as
        the repr of bytes."""
        loud = [line.text() for line in services.logged if line.level not in ("debug", "notset")]
        for line in [*loud, *self.lines]:
            for secret in secrets:
                assert secret not in line, f"a log line gives away content: {line[:60]!r}…"
