"""YAML blocks of a Markdown file, linted as the files they claim to be.

A block whose first line is a comment such as ``# channels/his-adt.yaml`` or ``# routes.yaml`` is
that file; when the Markdown lies in a project, the rest of the project is taken from there,
otherwise blocks may import the shipped mappings.  A block without such a line is checked by itself,
as far as it can be.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.config.connectors import find_connectors
from engine.config.load import check_channel, load
from engine.mapping.library import SHIPPED
from engine.syntax import Diagnostic, Diagnostics, Position, read_yaml
from engine.syntax import Mapping as MappingNode

_FENCE: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})\s*(?P<language>\S*)")
_FILE: Final = re.compile(
    r"^#\s*(?P<path>routes\.yaml|tls\.yaml|(?:channels|mappings)/[\w/-]+\.yaml)\b"
)

_ASKED: Final = re.compile(r"^(?:import|extends): *(.*)$", re.MULTILINE)

# A reference that only a running system has is not a defect of a text.
_ELSEWHERE: Final = frozenset({"C111", "C112", "C125"})
# What a part of a project leaves open.
_PARTIAL: Final = frozenset({"C002", "C301", "C302"})


@dataclass(frozen=True, slots=True)
class Block:
    """``line`` is the Markdown's line of the block's first one, ``indent`` what was cut off it."""

    text: str
    line: int
    indent: int
    path: str | None


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks whose language is yaml."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if opening is None:
            continue
        first, indent = number, len(opening["indent"])
        closing = re.compile(rf"^ *{re.escape(opening['fence'])}\s*$")
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        body = [
            line[indent:] if not line[:indent].strip() else line for line in lines[first:number]
        ]
        number += 1
        if opening["language"] in ("yaml", "yml"):
            named = _FILE.match(body[0]) if body else None
            yield Block("\n".join(body) + "\n", first + 1, indent, named["path"] if named else None)


def lint_markdown(file: Path, shown: str) -> tuple[Sequence[Diagnostic], Mapping[str, str]]:
    """What is wrong in the blocks, at positions in the Markdown, which is called ``shown``."""
    text = file.read_text(encoding="utf-8")
    found: list[Diagnostic] = []
    files: dict[str, Block] = {}
    for block in blocks(text):
        if block.path is None:
            found += _moved(_alone(block), block, shown)
        else:
            files[block.path] = block
    if files:
        found += _together(file.parent, files, shown)
    return sorted(found, key=lambda one: one.position), {shown: text}


def _alone(block: Block) -> Sequence[Diagnostic]:
    diagnostics = Diagnostics()
    node = read_yaml(block.text, "block", diagnostics)
    if isinstance(node, MappingNode) and node.get("connector") is not None:
        connectors, _ = find_connectors()
        return check_channel("example", block.text, connectors=connectors, environ={})
    return diagnostics.items


def _together(beside: Path, files: Mapping[str, Block], shown: str) -> list[Diagnostic]:
    connectors, _ = find_connectors()
    found: list[Diagnostic] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if (beside / "routes.yaml").is_file():
            _copy_project(beside, root)
        elif _asks_for_more(files):  # a page about the shipped library
            shutil.copytree(SHIPPED, root / "mappings", ignore=shutil.ignore_patterns("*.test.*"))
        for path, block in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(block.text, encoding="utf-8")
        loaded = load(root, connectors=connectors, environ={})
        ignored = _ELSEWHERE if (root / "routes.yaml").is_file() else _ELSEWHERE | _PARTIAL
    for one in loaded.diagnostics:
        block_of = files.get(one.position.file)
        if block_of is not None and one.code not in ignored:
            found += _moved([one], block_of, shown)
    return found


def _asks_for_more(files: Mapping[str, Block]) -> bool:
    """Whether a block imports or extends what no block is."""
    asked = {
        name
        for block in files.values()
        for names in _ASKED.findall(block.text)
        for name in re.split(r"[\[\], ]+", names)
        if name
    }
    return any(f"mappings/{name}.yaml" not in files for name in asked)


def _copy_project(source: Path, root: Path) -> None:
    for name in ("routes.yaml", "tls.yaml"):
        if (source / name).is_file():
            shutil.copy(source / name, root / name)
    for name in ("channels", "mappings"):
        if (source / name).is_dir():
            shutil.copytree(source / name, root / name)


def _moved(found: Sequence[Diagnostic], block: Block, shown: str) -> list[Diagnostic]:
    return [
        replace(
            one,
            position=Position(
                shown,
                one.position.line + block.line - 1,
                one.position.column + block.indent,
            ),
        )
        for one in found
    ]
