"""docs/library.md names every mapping that ships, and none that does not; each has its tests."""

from __future__ import annotations

import re
from pathlib import Path

from engine.mapping import FolderLibrary

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "library.md").read_text("utf-8")
NAMES = {header.name for header in FolderLibrary(ROOT / "mappings").headers()}
SHIPPED = {name for name in NAMES if not name.startswith("lib/")}  # overlays of libraries are parts


def test_every_mapping_is_named() -> None:
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`([a-z0-9/-]+-to-[a-z0-9-]+)`", table))
    assert named == SHIPPED


def test_every_mapping_is_tested() -> None:
    tests = {name for name in SHIPPED if (ROOT / "mappings" / f"{name}.test.yaml").is_file()}
    assert tests == SHIPPED
