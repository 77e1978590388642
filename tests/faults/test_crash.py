"""The first promise: what was acknowledged is never lost, whatever happens to the engine."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.crash import CrashPlan, crash_run

KILLS = 20


@pytest.mark.timeout(180)
async def test_twenty_kills_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    report = await crash_run(tmp_path / "project", CrashPlan(kills=KILLS, seed=seed))
    with capsys.disabled():
        print(f"\n{report}")
    assert report.verdict.acknowledged > KILLS * 10, report
    assert report.verdict.kept, report
