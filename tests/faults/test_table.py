"""Every fault of the table, a few rounds each: nothing acknowledged is lost, nothing out of order,
no repetition without a reason.  ``python -m tests.faults.table`` runs them for long."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.table import Grounds, run

ROUNDS = 2


@pytest.fixture(scope="module")
def grounds() -> Iterator[Grounds]:
    made = Grounds()
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_nothing_is_lost(
    fault: Fault, grounds: Grounds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault.disk and os.geteuid():
        pytest.skip("only root may mount the small disk that is to be full")
    seed = random.SystemRandom().randrange(10**6)
    with grounds.servers(fault.needs) as servers:
        row = await run(fault, ROUNDS, seed, servers, tmp_path / "hall")
    with capsys.disabled():
        print(f"\n{row}")
    assert row.verdict.acknowledged > 20 * ROUNDS, row
    assert row.verdict.kept, row
