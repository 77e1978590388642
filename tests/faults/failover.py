"""How long fail-over takes with two engines: ``python -m tests.faults.failover --rounds 20``.

One of two engines is killed (SIGKILL) in full load.  The time runs until messages of every patient,
and so of every lane of every destination, that were acknowledged after the kill have arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.catalogue import Needs
from tests.faults.hall import PATIENTS, RECOVERY, Hall, Servers, finished, hall
from tests.faults.table import Grounds

LIMIT = 5.0
"""Seconds within which the other engine has every channel."""


async def taken_over(made: Hall) -> float:
    """Kill one engine; seconds until the other has every lane.  Raises TimeoutError."""
    await made.pause(0.05, 0.6)
    victim = made.chance.choice(made.engines)
    answered, delivered = len(made.witness.answered), len(made.sink.numbers)
    began = time.monotonic()
    await victim.kill()
    async with asyncio.timeout(RECOVERY.total_seconds()):
        while True:
            since = set(made.witness.answered[answered:]) & set(made.sink.numbers[delivered:])
            if len({number % PATIENTS for number in since}) == PATIENTS:
                break
            await asyncio.sleep(0.01)
    taken = time.monotonic() - began
    await victim.start()
    await victim.ready()
    await made.moving()
    return taken


async def measured(rounds: int, seed: int, servers: Servers, root: Path) -> list[float]:
    """Of each round, in seconds; the promise is checked over all of them."""
    async with hall(root, servers, random.Random(seed), engines=2) as made:  # noqa: S311
        await made.moving()
        found = [await taken_over(made) for _ in range(rounds)]
        verdict = await finished(made)
    assert verdict.kept, verdict
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args(arguments)
    grounds = Grounds()
    try:
        with (
            grounds.servers(Needs.SERVERS) as servers,
            tempfile.TemporaryDirectory(prefix="carebus-failover-") as folder,
        ):
            root = Path(folder) / "hall"
            found = asyncio.run(measured(options.rounds, options.seed, servers, root))
    finally:
        grounds.close()
    print(" ".join(f"{seconds:.2f}" for seconds in found))
    print(
        f"{len(found)} rounds (seed {options.seed}): median {statistics.median(found):.2f} s,"
        f" longest {max(found):.2f} s"
    )
    return 0 if max(found) < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
