"""Message structures: which segments and groups a message has, in which order (HL7 2.5.1 ch. 2.13).

A structure is written in HL7's abstract message syntax, on one line or several::

    ORU_R01: MSH [{SFT}] {PATIENT_RESULT: [PATIENT: PID [PD1]] {ORDER_OBSERVATION: [ORC] OBR}}

``[ ]`` is optional, ``{ }`` repeats, ``< | >`` is a choice, and ``( )`` only holds a group
together.  ``NAME:`` after an opening bracket names the group; ``ANY`` is any segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(r"\s*([A-Z][A-Za-z0-9_]*:?|[\[\]{}()<>|]|\S)")
_PAIRS: Final = {"[": "]", "{": "}", "(": ")", "<": ">"}
_DEEPEST: Final = 20

ANY: Final = "ANY"
"""In the place of a segment's name: any segment."""


class StructureError(ValueError):
    """The text is no abstract message syntax; the message says where."""


@dataclass(frozen=True, slots=True)
class Part:
    """A segment or a group in its place.  ``group`` is None for a segment."""

    name: str
    required: bool
    repeats: bool
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A group, or the whole message.  Of a ``choice`` only one part is there."""

    name: str
    parts: tuple[Part, ...]
    choice: bool = False
    own: frozenset[str] = field(init=False)
    """The segments that it holds itself."""
    names: frozenset[str] = field(init=False)
    """The segments that it and the groups in it hold."""
    groups: frozenset[str] = field(init=False)
    """The names of the groups in it, at any depth."""

    def __post_init__(self) -> None:
        inner = [part.group for part in self.parts if part.group is not None]
        own = frozenset(part.name for part in self.parts if part.group is None)
        object.__setattr__(self, "own", own)
        object.__setattr__(self, "names", own.union(*(group.names for group in inner)))
        object.__setattr__(
            self,
            "groups",
            frozenset(group.name for group in inner).union(*(group.groups for group in inner)),
        )


def read_structure(text: str) -> Group:
    """One structure.  Raises StructureError."""
    tokens = _TOKEN.findall(text)
    if len(tokens) < 2 or not tokens[0].endswith(":"):
        raise StructureError("a structure begins with its name and a colon: ORU_R01: MSH …")
    reader = _Reader(tokens)
    reader.at = 1
    parts = reader.parts("", 0)
    if reader.at < len(tokens):
        raise StructureError(f"'{tokens[reader.at]}' closes nothing")
    if not parts:
        raise StructureError(f"{tokens[0]} has no segments")
    return Group(tokens[0][:-1], parts)


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def next(self) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        self.at += 1
        return token

    def parts(self, closing: str, depth: int) -> tuple[Part, ...]:
        """Up to ``closing``, which is not taken."""
        if depth > _DEEPEST:
            raise StructureError("groups in groups in groups: too deep")
        found: list[Part] = []
        while self.at < len(self.tokens) and self.tokens[self.at] != closing:
            token = self.tokens[self.at]
            if token in _PAIRS:
                found.append(self.bracket(depth))
            elif token == "|" and closing == ">":  # noqa: S105 - no password
                self.at += 1
            elif token.isalnum() and token.isupper() and len(token) == 3:
                self.at += 1
                found.append(Part(token, True, False))
            else:
                return tuple(found) if not closing else self.wrong(token)
        return tuple(found)

    def wrong(self, token: str) -> tuple[Part, ...]:
        if token.endswith(":"):
            raise StructureError(f"'{token}' names a group, and stands after an opening bracket")
        raise StructureError(f"'{token}' is no segment and no bracket")

    def bracket(self, depth: int) -> Part:
        opening = self.next()
        name = ""
        if self.at < len(self.tokens) and self.tokens[self.at].endswith(":"):
            name = self.next()[:-1]
        parts = self.parts(_PAIRS[opening], depth + 1)
        if self.next() != _PAIRS[opening]:
            raise StructureError(f"'{opening}' is never closed")
        if not parts:
            raise StructureError("there is nothing in the brackets")
        required, repeats = opening != "[", opening == "{"
        if name:
            group = Group(name, parts, opening == "<")
        elif len(parts) == 1:
            inner = parts[0]
            return Part(
                inner.name, required and inner.required, repeats or inner.repeats, inner.group
            )
        else:
            group = Group("", parts, opening == "<")
        return Part(group.name, required, repeats, group)
