"""What a newcomer sees first: the demo runs, is killed in the middle, and loses nothing."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import psycopg

REPOSITORY = Path(__file__).parents[2]


async def demo(*arguments: str, **environ: str) -> tuple[int, str]:
    """Exit status and everything printed.  Runs on free ports, in a pipe."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine.demo",
        "--any-ports",
        *arguments,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environ},
    )
    try:
        async with asyncio.timeout(100):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_the_demo_is_killed_once_and_loses_nothing(tmp_path: Path) -> None:
    status, printed = await demo("--for", "6s", "--rate", "60", "--data", str(tmp_path / "data"))
    assert status == 0, printed
    assert "the demo kills the engine now: kill -9" in printed
    assert "the engine was killed by signal 9" in printed
    assert "engine starts 2, dead 0" in printed
    assert "lost=0" in printed.splitlines()
    for receiver in (r"EMR \(FHIR\)", r"ward \(HL7\)"):
        match = re.search(rf"{receiver}: delivered (\d+) of (\d+) acknowledged", printed)
        assert match is not None, printed
        assert int(match[1]) >= int(match[2]) > 20, printed


async def test_it_is_killed_and_loses_nothing_on_postgresql(database: str, tmp_path: Path) -> None:
    status, printed = await demo(
        "--for", "6s", "--rate", "60", "--data", str(tmp_path), CAREBUS_STORE_URL=database
    )
    assert status == 0, printed
    assert "the engine was killed by signal 9" in printed
    assert "engine starts 2, dead 0" in printed
    assert "lost=0" in printed.splitlines()
    assert not (tmp_path / "carebus.db").exists()
    with psycopg.connect(database) as connection:
        found = dict(connection.execute("SELECT state, count(*) FROM delivery GROUP BY state"))
    assert found.keys() == {"sent"}
    assert found["sent"] > 100


async def test_it_runs_without_the_corpora_on_the_shipped_samples(tmp_path: Path) -> None:
    status, printed = await demo(
        "--for", "2s", "--no-kill", "--corpora", str(tmp_path / "none"), "--data", str(tmp_path)
    )
    assert status == 0, printed
    assert "engine starts 1, dead 0" in printed
    assert "lost=0" in printed.splitlines()


async def test_a_folder_that_is_no_project_is_refused_with_a_reason(tmp_path: Path) -> None:
    status, printed = await demo("--for", "1minute", "--data", str(tmp_path))
    assert status == 2
    assert "a duration is a number with a unit" in printed
