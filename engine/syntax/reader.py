"""YAML files into nodes: every scalar is text, every trap is a diagnostic, every size is bounded.

`read_yaml` never raises for bad input and always ends: nodes are built from the event stream
without recursion, and aliases, depth and size have limits.  libyaml does the scanning when it is
there; pure Python gives the same nodes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from engine.syntax.cuts import is_expression, is_unfinished, report_syntax_error
from engine.syntax.diagnostics import Diagnostics
from engine.syntax.nodes import Mapping, Node, Scalar, Sequence
from engine.syntax.position import Position
from engine.syntax.source import lines_of, place_of

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_CHARACTERS: Final = 4 * 1024 * 1024
MAX_NODES: Final = 200_000
MAX_DEPTH: Final = 64
MAX_REPEATED: Final = 20_000  # nodes that aliases may add

_MAX_TABS: Final = 20  # reported in one file

_COMMENT_FOLLOWS: Final = re.compile("[ \t]*#")
_NULLS: Final = frozenset({"null", "Null", "NULL", "~"})
# YAML 1.1 takes NEL, LS and PS for line ends; editors do not, and line numbers would differ.
_NOT_ALLOWED: Final = re.compile(
    "[^\t\n\r -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def decode_yaml(body: bytes, file: str, diagnostics: Diagnostics) -> str | None:
    """The text of a file, or None with a diagnostic when it is not UTF-8."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8")
        if body.startswith((b"\xff\xfe", b"\xfe\xff")):
            help = "this is UTF-16: save the file as UTF-8"
        else:
            help = "save the file as UTF-8 (it may be GB18030 or Latin-1 now)"
        diagnostics.add(
            "Y001",
            place_of(before, len(before), file),
            f"byte 0x{body[error.start]:02X} is not UTF-8",
            help=help,
        )
        return None


def read_yaml(text: str, file: str, diagnostics: Diagnostics) -> Node | None:
    """The one document of the file, or None when there is nothing to go on with.

    After a recoverable trap (a duplicate key, a tag) the node is returned all the same, so that
    one look reports everything; then ``diagnostics`` has an error.
    """
    if text.startswith("\ufeff"):
        diagnostics.add(
            "Y002",
            Position(file, 1, 1),
            "the file begins with a byte order mark",
            help="save the file as UTF-8 without BOM",
        )
        text = text[1:]
    if len(text) > MAX_CHARACTERS:
        diagnostics.add(
            "Y004",
            Position(file, 1, 1),
            f"the file has {len(text):,} characters, the limit is {MAX_CHARACTERS:,}",
            help="split it into several files",
        )
        return None
    bad = _NOT_ALLOWED.search(text)
    if bad is not None:
        diagnostics.add(
            "Y003",
            place_of(text, bad.start(), file),
            f"the character U+{ord(bad.group()):04X} is not allowed",
            help="delete it, or write it as an escape in a double-quoted text",
        )
        return None
    return _Builder(text, file, diagnostics).build()


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being read."""

    mapping: bool
    position: Position
    anchor: str | None
    flow: bool
    nodes: list[Node] = field(default_factory=list)
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)  # line of each key
    key: Scalar | None = None
    wants_value: bool = False  # a key was read; ``key`` is None when the entry is dropped
    size: int = 1  # nodes, aliases expanded
    height: int = 1


class _TooMuch(Exception):
    """A limit was passed; the diagnostic is written."""


class _Builder:
    """One reading of one file."""

    def __init__(self, text: str, file: str, diagnostics: Diagnostics) -> None:
        self._text = text
        self._file = file
        self._diagnostics = diagnostics
        self._lines: list[str] | None = None
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._root: Node | None = None
        self._documents = 0
        self._count = 0
        self._repeated = 0
        self._has_tabs = "\t" in text
        self._spans: list[tuple[int, int]] = []  # of scalars, to tell a tab in a text

    def build(self) -> Node | None:
        events = yaml.parse(self._text, Loader=_Loader)
        try:
            for event in events:
                self._take(event)
                if self._documents > 1:
                    break
        except _TooMuch:
            return None
        except (yaml.YAMLError, ValueError) as error:
            # ValueError: the pure Python scanner on an escape beyond U+10FFFF.
            report_syntax_error(error, self._text, self._file, self._diagnostics)
            return None
        finally:
            close = getattr(events, "close", None)
            if close is not None:
                close()
        if self._has_tabs:
            self._report_tabs()
        if self._root is None:
            self._diagnostics.add("Y007", Position(self._file, 1, 1), "the file is empty")
        return self._root

    def _take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self._refuse_tag(event)
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event)
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self._document(event)

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        place = self._place(event.start_mark)
        if self._documents > 1:
            self._diagnostics.add(
                "Y008",
                place,
                "a second document begins here",
                length=3,
                help="use one file for each document",
            )
        elif event.version or event.tags:
            self._diagnostics.add("Y105", place, "YAML directives are not used here")

    def _scalar(self, event: Any) -> None:
        scalar = self._read_scalar(event)
        flow = bool(self._frames) and self._frames[-1].flow
        is_key = self._expects_key()
        if not scalar.quoted and not scalar.block:
            if is_key and is_expression(scalar.text):
                self._report_cut(scalar, "it became a key", event.end_mark)
            elif is_expression(scalar.text) and is_unfinished(scalar.text):
                if flow:
                    self._report_cut(scalar, "by the flow collection around it", event.end_mark)
                elif _COMMENT_FOLLOWS.match(self._text, event.end_mark.index):
                    self._report_cut(scalar, "by ' #'", event.end_mark)
            elif scalar.text in _NULLS and not is_key:
                self._diagnostics.at(
                    "Y108",
                    scalar,
                    f"{scalar.text} is not a value here",
                    help=f"leave the key out, or quote it ('{scalar.text}') where text is meant",
                )
        self._add(scalar, 1, 1, event.anchor)

    def _read_scalar(self, event: Any) -> Scalar:
        start, end, style = event.start_mark, event.end_mark, event.style
        text = event.value
        if self._has_tabs:
            self._spans.append((start.index, end.index))
        if style in ("|", ">"):
            return Scalar(text, False, self._block_place(start), block=True)
        if style not in ("'", '"'):
            return Scalar(text, False, self._place(start))
        position = Position(self._file, start.line + 1, start.column + 2)
        widened: tuple[int, ...] = ()
        if start.line == end.line and end.index - start.index - 2 != len(text):
            raw = self._text[start.index + 1 : end.index - 1]
            widened = _widened_single(text) if style == "'" else _widened_double(raw)
        return Scalar(text, True, position, widened=widened)

    def _block_place(self, mark: Any) -> Position:
        if self._lines is None:
            self._lines = lines_of(self._text)
        for number in range(mark.line + 1, len(self._lines)):
            line = self._lines[number]
            if line.strip(" "):
                return Position(self._file, mark.line + 2, len(line) - len(line.lstrip(" ")) + 1)
        return self._place(mark)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        position = self._place(event.start_mark)
        if len(self._frames) >= MAX_DEPTH:
            self._too_deep(position)
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._frames.append(_Frame(mapping, position, event.anchor, bool(event.flow_style)))

    def _close(self) -> None:
        frame = self._frames.pop()
        node: Node
        if frame.mapping:
            node = Mapping(tuple(frame.entries), frame.position)
        else:
            node = Sequence(tuple(frame.nodes), frame.position)
        self._add(node, frame.size, frame.height, frame.anchor)

    def _alias(self, event: Any) -> None:
        position = self._place(event.start_mark)
        found = self._anchors.get(event.anchor)
        if found is None:
            self._diagnostics.add(
                "Y106",
                position,
                f"no anchor '&{event.anchor}' ends before this place",
                length=len(event.anchor) + 1,
                help="quote a text that begins with '*'",
            )
            found = (Scalar("", True, position), 1, 1)
        node, size, height = found
        self._repeated += size
        if self._repeated > MAX_REPEATED:
            self._diagnostics.add(
                "Y107",
                position,
                f"aliases repeat more than {MAX_REPEATED:,} values",
                length=len(event.anchor) + 1,
            )
            raise _TooMuch
        if len(self._frames) + height > MAX_DEPTH:
            self._too_deep(position)
        self._add(node, size, height, None)

    def _add(self, node: Node, size: int, height: int, anchor: str | None) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            self._diagnostics.at("Y004", node, f"the file has more than {MAX_NODES:,} values")
            raise _TooMuch
        if anchor is not None:
            self._anchors[anchor] = (node, size, height)
        if not self._frames:
            if self._documents == 1 and not _is_nothing(node):
                self._root = node
            return
        frame = self._frames[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if not frame.mapping:
            frame.nodes.append(node)
        elif not frame.wants_value:
            frame.key = self._accept_key(frame, node)
            frame.wants_value = True
        else:
            if frame.key is not None:
                frame.entries.append((frame.key, node))
            frame.wants_value = False

    def _accept_key(self, frame: _Frame, node: Node) -> Scalar | None:
        """The key, or None when it and its value are dropped."""
        if not isinstance(node, Scalar) or _is_nothing(node):
            self._diagnostics.at("Y103", node, "a key is a single text")
            return None
        if node.text == "<<" and not node.quoted:
            self._diagnostics.at(
                "Y104", node, "merge keys are not used here", help="write the keys out"
            )
            return None
        first = frame.keys.get(node.text)
        if first is not None:
            self._diagnostics.at(
                "Y102",
                node,
                f"duplicate key '{node.text}' (first at line {first})",
                help="keep one of the two",
            )
            return None
        frame.keys[node.text] = node.position.line
        return node

    def _expects_key(self) -> bool:
        return bool(self._frames) and self._frames[-1].mapping and not self._frames[-1].wants_value

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            self._diagnostics.add(
                "Y105",
                self._place(event.start_mark),
                "YAML tags are not used here",
                help="quote a text that begins with '!'",
            )

    def _report_cut(self, scalar: Scalar, by: str, end: Any) -> None:
        self._diagnostics.at(
            "Y109",
            scalar,
            f"this expression was cut at column {end.column + 1}: {by}",
            help="quote the whole expression, with its '='",
        )

    def _too_deep(self, position: Position) -> None:
        self._diagnostics.add("Y005", position, f"nested more than {MAX_DEPTH} deep")
        raise _TooMuch

    def _report_tabs(self) -> None:
        """The first tab on each line that is neither in a text nor in a comment."""
        lines: set[int] = set()
        for tab in re.finditer("\t", self._text):
            index = tab.start()
            if self._in_text(index) or self._in_comment(index):
                continue
            place = place_of(self._text, index, self._file)
            if place.line not in lines:
                self._diagnostics.add("Y006", place, "a tab", help="use spaces")
                lines.add(place.line)
            if len(lines) == _MAX_TABS:
                return

    def _in_text(self, index: int) -> bool:
        before = bisect_right(self._spans, index, key=lambda span: span[0])
        return before > 0 and index < self._spans[before - 1][1]

    def _in_comment(self, index: int) -> bool:
        line_start = self._text.rfind("\n", 0, index) + 1
        hashes = re.finditer(r"(?:^|(?<=[ \t]))#", self._text[line_start:index])
        return any(not self._in_text(line_start + found.start()) for found in hashes)

    def _place(self, mark: Any) -> Position:
        return Position(self._file, mark.line + 1, mark.column + 1)


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.text and not node.quoted and not node.block


def _widened_single(text: str) -> tuple[int, ...]:
    return tuple(offset + 1 for offset, char in enumerate(text) if char == "'")


_ESCAPE_LENGTH: Final = {"x": 4, "u": 6, "U": 10}


def _widened_double(raw: str) -> tuple[int, ...]:
    widened: list[int] = []
    index = offset = 0
    while index < len(raw):
        length = 1
        if raw[index] == "\\":
            length = _ESCAPE_LENGTH.get(raw[index + 1 : index + 2], 2)
            widened.extend([offset + 1] * (length - 1))
        index += length
        offset += 1
    return tuple(widened)
