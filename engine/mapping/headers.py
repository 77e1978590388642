"""What a mapping says it takes and gives: its ``from:`` and ``to:``, read without the rest.

A library of mappings has many thousand lines, and choosing one needs a few of each file.  Only
the top-level keys that are wanted are read; the lines of the others are blank meanwhile, so that
places stay right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence, read_yaml

_TOP: Final = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*:", re.MULTILINE)
_WANTED: Final = frozenset({"from", "to", "extends"})
ANY: Final = "any"
_MESSAGE: Final = re.compile(r"any|[A-Z*][A-Z0-9*]{0,7}(?:[_^][A-Z0-9*]{1,7})?")


@dataclass(frozen=True, slots=True)
class MappingHeader:
    """``messages`` are as ``ORU_R01`` (a structure, or a type and its event), ``ADT_*`` or
    ``any``; an overlay without ``from:`` of its own has that of what it extends."""

    name: str
    place: Scalar | Mapping
    source: str = ""
    target: str = ""
    messages: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    when: Scalar | None = None
    priority: int = 0
    extends: str = ""

    @property
    def says_what_it_takes(self) -> bool:
        """More than its format: it is there to be chosen by a message's own type."""
        return bool(self.messages or self.resources or self.events or self.roots or self.when)

    @property
    def chosen_by_name_only(self) -> bool:
        """A mapping in a folder of its own (``sites/north``) is for those who ask for it."""
        return "/" in self.name


def read_header(text: str, name: str, file: str) -> MappingHeader | None:
    """The header of a file; None for a library (neither ``out:`` nor ``extends:``), or when it
    cannot be read: compiling says why."""
    starts = [(found.start(), found[1]) for found in _TOP.finditer(text)]
    keys = {key for _, key in starts}
    if "out" not in keys and "extends" not in keys:
        return None
    parts: list[str] = []
    ends = [start for start, _ in starts[1:]] + [len(text)]
    parts.append("\n" * text.count("\n", 0, starts[0][0]))
    for (start, key), end in zip(starts, ends, strict=True):
        block = text[start:end]
        parts.append(block if key in _WANTED else "\n" * block.count("\n"))
    root = read_yaml("".join(parts), file, Diagnostics())
    return header_of(root, name) if root is not None else None


def header_of(root: Node, name: str, diagnostics: Diagnostics | None = None) -> MappingHeader:
    """The header of a file that is read; what is wrong in it goes to ``diagnostics``."""
    told = Diagnostics() if diagnostics is None else diagnostics
    if not isinstance(root, Mapping):
        return MappingHeader(name, Mapping((), root.position))
    taken, given, extends = root.get("from"), root.get("to"), root.get("extends")
    origin = taken if isinstance(taken, Mapping) else Mapping((), root.position)
    target = given if isinstance(given, Mapping) else Mapping((), root.position)
    messages = (*_texts(origin.get("message")), *_texts(origin.get("messages")))
    for one in messages:
        if not _MESSAGE.fullmatch(one.text):
            told.at(
                "M010",
                one,
                f"'{one.text}' is no message",
                help="a structure (ORU_R01), an event (ADT^A08), a pattern (ADT_*) or any",
            )
    priority = origin.get("priority")
    number = _number(priority)
    if priority is not None and number is None:
        told.at("M010", priority, "'priority' is a whole number", help="priority: 10")
    when = origin.get("when")
    if when is not None and not isinstance(when, Scalar):
        told.at("M010", when, "'when' is a single expression", help="when: = exists(Patient)")
    return MappingHeader(
        name,
        root.key("from") or root.key("extends") or Mapping((), root.position),
        _text(origin.get("format")),
        _text(target.get("format")),
        tuple(one.text.replace("^", "_") for one in messages),
        tuple(one.text for one in _texts(origin.get("resource"))),
        tuple(one.text for one in _texts(origin.get("event"))),
        tuple(one.text for one in _texts(origin.get("root"))),
        when if isinstance(when, Scalar) else None,
        number or 0,
        _text(extends),
    )


def _texts(node: Node | None) -> tuple[Scalar, ...]:
    if isinstance(node, Scalar):
        return (node,)
    items = node.items if isinstance(node, Sequence) else ()
    return tuple(item for item in items if isinstance(item, Scalar))


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _number(node: Node | None) -> int | None:
    try:
        return int(_text(node))
    except ValueError:
        return None
