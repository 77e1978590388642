"""What an engineer reads when a mapping is wrong: golden files in ``diagnostics/``.

After a change, look at the difference that ``CAREBUS_UPDATE_GOLDEN=1`` writes before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from engine.mapping import FolderLibrary, compile_mapping
from engine.syntax import CODES, Diagnostics, read_yaml
from engine.syntax.render import render

FOLDER = Path(__file__).with_name("diagnostics")
MAPPINGS = Path(__file__).parents[3] / "mappings"
BASES = Path(__file__).with_name("bases")
TOPICS = sorted(FOLDER.glob("*.yaml"))
CASES = [
    (topic, case["name"], case["source"], case["expected"])
    for topic in TOPICS
    for case in yaml.safe_load(topic.read_text(encoding="utf-8"))["cases"]
]


def rendered(source: str) -> str:
    diagnostics = Diagnostics()
    root = read_yaml(source, "t.yaml", diagnostics)
    if root is not None:
        library = FolderLibrary(BASES if "extends:" in source or "[sexes]" in source else MAPPINGS)
        compile_mapping(
            root, diagnostics=diagnostics, library=library, name="t", notes="# notes" in source
        )
    found = [one for one in diagnostics.items if one.position.file == "t.yaml"]
    return "".join(render(one, source) + "\n" for one in found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [pytest.param(case[2], case[3], id=f"{case[0].stem}: {case[1]}") for case in CASES],
)
def test_diagnostic(source: str, expected: str) -> None:
    assert rendered(source) == expected


def test_every_code_is_shown_by_a_golden_file() -> None:
    shown = "\n".join(case[3] for case in CASES)
    missing = [code for code in CODES if code.startswith("M") and f"[{code}]" not in shown]
    assert missing == ["M901"]  # of test files: test_examples.py


def update() -> None:
    for topic in TOPICS:
        cases = yaml.safe_load(topic.read_text(encoding="utf-8"))["cases"]
        lines = ["cases:"]
        for case in cases:
            lines.append(f"  - name: {case['name']}")
            for key, text in (("source", case["source"]), ("expected", rendered(case["source"]))):
                lines.append(f"    {key}: |")
                lines += [f"      {line}" if line else "" for line in text.splitlines()]
        topic.write_text("\n".join(lines) + "\n", encoding="utf-8")


if os.environ.get("CAREBUS_UPDATE_GOLDEN"):
    update()
