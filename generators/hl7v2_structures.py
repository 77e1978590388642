"""Writes engine/formats/hl7v2/structures/: HL7's message structures in abstract message syntax.

    .venv/bin/python generators/hl7v2_structures.py

The source is hl7apy (MIT), which has the structures of 2.1 to 2.8.2.  Two kinds of file come out:
``2.5.1.txt`` and its like are each version as it is, with the names of groups without the message's
prefix; ``reading.txt`` holds one structure for each message, whatever version a sender claims, and
is what mappings read by.  It is the structure of the first version of `PREFERRED` that has it, with
the parts that only other versions have put in behind what they follow there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSIONS = (
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2",
)  # fmt: skip
PREFERRED = (
    "2.6", "2.5.1", "2.7", "2.8.2", "2.8.1", "2.8", "2.5", "2.4", "2.3.1", "2.3", "2.2", "2.1",
)  # fmt: skip
OUT = Path(__file__).parents[1] / "engine/formats/hl7v2/structures"

# hl7apy names groups that the standard leaves without a name after what they hold, and repeats
# some misprints of the standard.
RENAMED = {"TIIMING": "TIMING"}
# Groups of later versions that would take segments from where all others have them: an OBX after
# an ORC is a result whose OBR is missing, long before it is a document about the order.
NOT_MERGED = {"ORDER_DOCUMENT"}


@dataclass
class Node:
    name: str
    required: bool
    repeats: bool
    parts: list[Node] | None = None  # None: a segment
    choice: bool = False

    def text(self) -> str:
        if self.parts is None:
            inner = self.name
        else:
            between = " | " if self.choice else " "
            inner = between.join(part.text() for part in self.parts)
            if self.choice:
                inner = f"<{self.label}{inner}>" if len(self.parts) > 1 else inner
                if not self.repeats and self.required:
                    return inner
            else:
                inner = self.label + inner
        if self.repeats:
            inner = f"{{{inner}}}"
        if not self.required:
            return f"[{inner}]"
        return inner if self.repeats or self.parts is None else f"({inner})"

    @property
    def label(self) -> str:
        return f"{self.name}: " if self.name else ""

    def segments(self) -> Iterator[str]:
        for part in self.parts or ():
            if part.parts is None:
                yield part.name
            else:
                yield from part.segments()

    def groups(self) -> Iterator[str]:
        for part in self.parts or ():
            if part.parts is not None:
                yield part.name
                yield from part.groups()


def structures(version: str) -> dict[str, Node]:
    module: Any = importlib.import_module(f"hl7apy.v{version.replace('.', '_')}")
    found: dict[str, Node] = {}
    for name, (_, children) in module.MESSAGES.items():
        if name.upper() != name:
            continue  # RTB_Knn and its like: the upper-case one is there as well
        parts = [node for child in children for node in nodes(module, name, child)]
        if parts and parts[0].name == "MSH":
            found[name] = Node(name, True, False, parts)
    return found


def nodes(module: Any, message: str, child: Any) -> Iterator[Node]:
    name, _, (least, most), kind = child
    required, repeats = least > 0, most != 1
    if kind == "SEG":
        yield Node("ANY" if name == "ANYHL7SEGMENT" else name, required, repeats)
        return
    sort, children = module.GROUPS[name][:2]
    parts = [node for one in children for node in nodes(module, message, one)]
    if not parts:
        return
    choice = sort == "choice"
    own = name.removeprefix(f"{message}_").removeprefix(f"{message.upper()}_")
    own = RENAMED.get(own, own)
    if choice and (own == "CHOICE" or "SUPPGRP" in own):
        own = ""
    if "SUPPGRP" in own:
        own = ""
    yield Node(own, required, repeats, parts, choice)


def merged(base: Node, others: list[Node]) -> Node:
    """``base`` with what only the others have: segments and named groups, group by group."""
    assert base.parts is not None
    for other in others:
        _merge(base, other)
    return base


def _merge(base: Node, other: Node) -> None:
    if base.parts is None or other.parts is None or base.choice or other.choice:
        return
    known = set(base.segments())
    plain = {part.name for part in base.parts if part.parts is None}
    after = -1
    for part in other.parts:
        place = next(
            (n for n, own in enumerate(base.parts) if n > after and _same(own, part)), None
        )
        if place is not None:
            after = place
            own = base.parts[place]
            own.repeats = own.repeats or part.repeats
            own.required = own.required and part.required
            _merge(own, part)
            continue
        if part.parts is None:
            if part.name not in known and part.name != "ANY":
                after += 1
                base.parts.insert(after, Node(part.name, False, part.repeats))
            continue
        if not part.name or part.name in set(base.groups()) or part.name in NOT_MERGED:
            continue
        new = Node(part.name, False, part.repeats, _allowed(part.parts), part.choice)
        first = part.parts[0].name
        bare = [n for n, own in enumerate(base.parts) if n > after and own.name == first]
        if bare and plain & set(part.segments()) == {first}:
            after = bare[0]  # a segment that later versions have put into a group of its own
            new.repeats = base.parts[after].repeats
            base.parts[after] = new
        elif not any(_openings(new) & _openings(own) for own in base.parts):
            after += 1
            base.parts.insert(after, new)


def _allowed(parts: list[Node]) -> list[Node]:
    return [part for part in parts if part.name not in NOT_MERGED]


def _same(own: Node, part: Node) -> bool:
    return own.name == part.name and (own.parts is None) == (part.parts is None) and own.name != ""


def _openings(node: Node) -> set[str]:
    """The segments that a part can begin with."""
    if node.parts is None:
        return {node.name}
    found: set[str] = set()
    for part in node.parts:
        found |= _openings(part)
        if part.required and not node.choice:
            break
    return found


def reading() -> dict[str, Node]:
    every = {version: structures(version) for version in VERSIONS}
    found: dict[str, Node] = {}
    for name in sorted({name for one in every.values() for name in one}):
        versions = [version for version in PREFERRED if name in every[version]]
        newest = [
            v for v in ("2.8.2", "2.5.1", "2.4", "2.3.1") if v in versions and v != versions[0]
        ]
        found[name] = merged(every[versions[0]][name], [every[v][name] for v in newest])
    return found


def write(name: str, about: str, found: dict[str, Node]) -> None:
    lines = [
        f"# {about}",
        "# Made by generators/hl7v2_structures.py from hl7apy (MIT); do not edit.",
    ]
    for key, node in sorted(found.items()):
        assert node.parts is not None
        lines.append(f"{key}: {' '.join(part.text() for part in node.parts)}")
    (OUT / name).write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    write("reading.txt", "What mappings read by: one structure for all versions.", reading())


if __name__ == "__main__":
    main()
