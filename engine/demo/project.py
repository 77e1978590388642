"""The shipped project, copied so that the simulated hospital can use other ports.

The copy is the shipped text with only the addresses changed: what runs in a test is what a
newcomer reads.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the systems and the engine's listeners are, on loopback."""

    his: int = 2575  # the engine listens here for the HIS
    lis: int = 2576
    ward: int = 2577  # the ward system listens here
    emr: int = 8090
    control: int = 8600  # the engine's control endpoint


SHIPPED_PORTS: Final = Ports()
_PARTS = ("routes.yaml", "channels", "mappings")


class NoProject(Exception):
    """The folder holds no project, or it cannot be run here."""


def copy_project(source: Path, target: Path, ports: Ports) -> Path:
    """Copy routes, channels and mappings into ``target`` with these ports; returns ``target``.

    Raises NoProject when a part is missing or no channel uses one of the shipped ports."""
    for part in _PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        elif (source / part).is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / part, target / part)
        else:
            raise NoProject(f"{source} has no {part}")
    moves = {
        SHIPPED_PORTS.his: ports.his,
        SHIPPED_PORTS.lis: ports.lis,
        SHIPPED_PORTS.ward: ports.ward,
        SHIPPED_PORTS.emr: ports.emr,
    }
    texts = {path: path.read_text("utf-8") for path in sorted((target / "channels").glob("*.yaml"))}
    for port in moves:
        if not any(re.search(rf"\b{port}\b", text) for text in texts.values()):
            raise NoProject(f"no channel of {source} uses port {port}")
    pattern = re.compile(r"\b(" + "|".join(str(port) for port in moves) + r")\b")
    for path, text in texts.items():
        path.write_text(pattern.sub(lambda match: str(moves[int(match[1])]), text), "utf-8")
    return target


def find_project(start: Path) -> Path:
    """``start``, or the checkout this engine was installed from.  Raises NoProject."""
    for candidate in (start, Path(__file__).parents[2]):
        if all((candidate / part).exists() for part in _PARTS):
            return candidate
    raise NoProject(f"{start} has no routes.yaml, channels/ and mappings/: run it in the project")
