"""All complete mappings at once: tables, decisions and the library's maps brought together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.guide.message_tables import message_table
from engine.guide.messages import Composed, Composer, SegmentMap
from engine.syntax import Diagnostics, Node, Scalar, read_yaml
from engine.syntax import Mapping as Object
from engine.syntax import Sequence as List

_DECISIONS: Final = tuple(
    Path(__file__).with_name(f"{name}.yaml") for name in ("messages", "written")
)
"""What the message tables leave open, and the messages that have no table."""


def compose_all(tables: Mapping[str, str], mappings: Path) -> list[Composed]:
    """``tables`` are the message tables by their file's name; the library is under ``mappings``.

    Raises ValueError where the decisions do not cover a table, OSError.
    """
    read = [message_table(file, text) for file, text in tables.items()]
    decisions = _joined(_tree(path) for path in _DECISIONS)
    composer = Composer({one.message: one for one in read}, decisions, library(mappings))
    return [composer.compose(message) for message in decisions["messages"]]


def library(mappings: Path) -> dict[str, SegmentMap]:
    """The maps under ``lib/v2`` by name; an overlay has the maps of the file it mends."""
    found, overlays = dict[str, SegmentMap](), dict[str, str]()
    for path in sorted((mappings / "lib/v2").rglob("*.yaml")):
        if path.name.endswith(".test.yaml"):
            continue
        file = str(path.relative_to(mappings).with_suffix(""))
        tree = _tree(path)
        for name, written in tree.get("maps", {}).items():
            found[name] = SegmentMap(file, tuple(written["args"]))
        if "extends" in tree:
            overlays[tree["extends"]] = file
    return {
        name: replace(one, file=overlays.get(one.file, one.file)) for name, one in found.items()
    }


def message_summary(composed: Sequence[Composed], *, left: bool) -> str:
    """How many rows of each message's table are in its mapping; with ``left``, the others."""
    lines = []
    for one in composed:
        lines.append(f"{one.name:<24} {len(one.used):>4} rows, {len(one.left_out)} left out")
        if left:
            lines += [f"  {row}: {reason}" for row, reason in one.left_out.items()]
    return "\n".join(lines)


def _joined(trees: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The sections of all: lists one after the other, objects with the keys of all."""
    found: dict[str, Any] = {}
    for tree in trees:
        for name, section in tree.items():
            if isinstance(section, list):
                found[name] = [*found.get(name, []), *section]
            else:
                found[name] = {**found.get(name, {}), **section}
    return found


def _tree(path: Path) -> dict[str, Any]:
    diagnostics = Diagnostics()
    root = read_yaml(path.read_text("utf-8"), str(path), diagnostics)
    if diagnostics.items or root is None:
        raise ValueError(f"{path} cannot be read: {[str(one) for one in diagnostics.items][:1]}")
    tree = _plain(root)
    assert isinstance(tree, dict)  # noqa: S101
    return tree


def _plain(node: Node) -> Any:
    match node:
        case Object():
            return {key.text: _plain(value) for key, value in node.entries}
        case List():
            return [_plain(item) for item in node.items]
        case Scalar():
            return node.text
