"""The fault table as a section of the benchmark: every fault, twenty rounds, in a process of its
own, since it starts servers and may take half an hour."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bench.project import REPOSITORY
from bench.report import Section


async def faults(folder: Path) -> Section:
    """Fills docs/reliability.md.  Raises RuntimeError when a promise was broken."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.table",
        "--write",
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode()
    if process.returncode:
        raise RuntimeError(text)
    return Section("faults", "Faults, 20 rounds each", text=text)
