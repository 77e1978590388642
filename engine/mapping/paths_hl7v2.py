"""Paths into HL7 v2, compiled: the common shapes get a closure of their own.

``cell`` holds the raw fields of a hoisted segment (`runstate.NOTHING` when it is not there), or
a variable's value.  A separator is never a letter or a digit, so that a text of letters and
digits needs no further look; a text that begins with an ASCII character above ``#`` is neither
blank nor an explicit null.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.formats.hl7v2 import Segment
from engine.formats.hl7v2.grouping import SegmentGroup
from engine.mapping.elements import (
    Component,
    Group,
    Repetition,
    component_leaf,
    decode,
    repetitions,
)
from engine.mapping.runstate import COMPONENT, DOCUMENT, ESCAPE, REPETITION, SUBCOMPONENT, Code, Run

HEADERS = frozenset({"MSH", "FHS", "BHS"})


def raw_field(cell: int, number: int) -> Code:
    """MSH-1 and MSH-2: the delimiters themselves."""

    def code(run: Run) -> Any:
        fields = run[cell]
        return fields[number] or None if number < len(fields) else None

    return code


def field_text(cell: int, number: int) -> Code:
    """``PID-8``: the first leaf of the first repetition."""

    def code(run: Run) -> Any:
        fields = run[cell]
        if number >= len(fields):
            return None
        text = fields[number]
        if not text:
            return None
        if text.isalnum():
            return text
        text = text.partition(run[REPETITION])[0].partition(run[COMPONENT])[0]
        if text.isalnum() or (
            "#" < text < "\x7f" and run[SUBCOMPONENT] not in text and run[ESCAPE] not in text
        ):
            return text
        return component_leaf(run, text) if text else None

    return code


def component_text(cell: int, number: int, component: int) -> Code:
    """``PID-5.2`` of the first repetition."""
    if component == 1:
        return field_text(cell, number)
    before = component - 1

    def code(run: Run) -> Any:
        fields = run[cell]
        if number >= len(fields):
            return None
        text = fields[number]
        if not text or run[COMPONENT] not in text:
            return None
        if run[REPETITION] in text:
            text = text.partition(run[REPETITION])[0]
        parts = text.split(run[COMPONENT], component)
        if before >= len(parts):
            return None
        text = parts[before]
        if text.isalnum() or (
            "#" < text < "\x7f" and run[SUBCOMPONENT] not in text and run[ESCAPE] not in text
        ):
            return text
        return component_leaf(run, text) if text else None

    return code


def subcomponent_text(cell: int, number: int, component: int, sub: int) -> Code:
    """``PID-3.4.2`` of the first repetition."""
    if sub == 1:
        return component_text(cell, number, component)

    def code(run: Run) -> Any:
        fields = run[cell]
        if number >= len(fields) or run[SUBCOMPONENT] not in fields[number]:
            return None
        text = fields[number].partition(run[REPETITION])[0]
        parts = text.split(run[COMPONENT], component)
        if component > len(parts):
            return None
        subs = parts[component - 1].split(run[SUBCOMPONENT], sub)
        return decode(run, subs[sub - 1]) if sub <= len(subs) else None

    return code


def every_repetition(cell: int, number: int) -> Code:
    """``PID-3[*]`` as nodes."""

    def code(run: Run) -> Any:
        fields = run[cell]
        if number >= len(fields) or not fields[number]:
            return None
        return repetitions(run, fields[number])

    return code


def first_repetition(cell: int, number: int) -> Code:
    """``PID-3`` as a node."""

    def code(run: Run) -> Any:
        fields = run[cell]
        if number >= len(fields):
            return None
        text = fields[number]
        if run[REPETITION] in text:
            text = text.partition(run[REPETITION])[0]
        return Repetition(text.split(run[COMPONENT])) if text else None

    return code


def variable_text(cell: int, number: int, slow: Callable[[Run, Any], Any]) -> Code:
    """``$x.5``: a component of a repetition or a field of a segment, else what ``slow`` finds."""
    before = number - 1
    header = number < 3  # MSH-1 and MSH-2

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is Segment:
            fields = node.fields
            if number >= len(fields):
                return None
            text = fields[number]
            if not text:
                return None
            if text.isalnum():
                return text
            if header:
                return slow(run, node)
            text = text.partition(run[REPETITION])[0].partition(run[COMPONENT])[0]
            if text.isalnum() or (
                "#" < text < "\x7f" and run[SUBCOMPONENT] not in text and run[ESCAPE] not in text
            ):
                return text
            return component_leaf(run, text) if text else None
        if node.__class__ is Repetition:
            if before >= len(node):
                return None
            text = node[before]
            if text.isalnum() or (
                "#" < text < "\x7f" and run[SUBCOMPONENT] not in text and run[ESCAPE] not in text
            ):
                return text
            return component_leaf(run, text) if text else None
        return None if node is None else slow(run, node)

    return code


def variable_part_text(cell: int, number: int, part: int, slow: Callable[[Run, Any], Any]) -> Code:
    """``$x.5.1``: a sub-component of a repetition or a component of a segment's field, else what
    ``slow`` finds."""
    if part == 1:
        return variable_text(cell, number, slow)
    before, last, header = number - 1, part - 1, number < 3

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is Segment:
            fields = node.fields
            if number >= len(fields) or run[COMPONENT] not in fields[number]:
                return None
            return slow(run, node) if header else part_of_field(run, fields[number], part)
        if node.__class__ is Repetition:
            if before >= len(node) or run[SUBCOMPONENT] not in node[before]:
                return None
            parts = node[before].split(run[SUBCOMPONENT], part)
            return decode(run, parts[last]) if last < len(parts) else None
        return None if node is None else slow(run, node)

    return code


def part_of_field(run: Run, text: str, part: int) -> Any:
    """A component of a raw field's first repetition, as text."""
    if run[REPETITION] in text:
        text = text.partition(run[REPETITION])[0]
    parts = text.split(run[COMPONENT], part)
    if part > len(parts):
        return None
    text = parts[part - 1]
    return component_leaf(run, text) if text else None


def variable_node(cell: int, number: int) -> Code:
    """``$x.5`` as a node; a list stands for its first item."""

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is Segment:
            fields = node.fields
            if number >= len(fields) or not fields[number]:
                return None
            return first_of(run, node, number)
        return None if node is None else first_of(run, node, number)

    return code


def variable_every(cell: int, number: int, slow: Callable[[Run, Any], Any]) -> Code:
    """``$x.5[*]`` as nodes."""

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is Segment:
            fields = node.fields
            if number >= len(fields) or not fields[number]:
                return None
            return slow(run, node)
        return None if node is None else slow(run, node)

    return code


def variable_nth(cell: int, number: int, index: int, slow: Callable[[Run, Any], Any]) -> Code:
    """``$x.5[2]`` as a node."""
    alone = index in (1, -1)

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is Segment:
            fields = node.fields
            if number >= len(fields) or not fields[number]:
                return None
            if alone or run[REPETITION] in fields[number]:
                return slow(run, node)
            return None
        return None if node is None else slow(run, node)

    return code


def field_exists(cell: int, number: int, slow: Callable[[Run, Any], bool]) -> Code:
    """``exists($x.5)``."""

    def code(run: Run) -> bool:
        node = run[cell]
        if node.__class__ is Segment:
            fields = node.fields
            if number >= len(fields):
                return False
            text = fields[number]
            if text[:1].isalnum():
                return True
            return slow(run, node) if text else False
        return False if node is None else slow(run, node)

    return code


def variable_named(cell: int, name: str, slow: Callable[[Run, Any], Any]) -> Code:
    """``$g.OBX[*]`` and ``$g.OBSERVATION[*]``."""
    segments = len(name) == 3

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is SegmentGroup:
            if segments:
                return node.all(name) or None
            return node.named(name) or None
        return None if node is None else slow(run, node)

    return code


def variable_first_segment(cell: int, name: str, slow: Callable[[Run, Any], Any]) -> Code:
    """``$g.OBX``, the segment itself."""

    def code(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is SegmentGroup:
            return node.first(name)
        return None if node is None else slow(run, node)

    return code


def first_segment(name: str, group: int | None) -> Code:
    """The segment itself, as a node."""
    if group is None:
        return lambda run: run[DOCUMENT].segment(name)

    return lambda run: run[group].first(name)


def every_segment(name: str, group: int | None) -> Code:
    """All of that name, as nodes; never None."""
    if group is None:
        return lambda run: run[DOCUMENT].segments(name)

    return lambda run: run[group].all(name)


def numbered(run: Run, node: Any, number: int) -> list[Any]:
    """One numeric step from any node: what is there, with None for an empty repetition."""
    kind = node.__class__
    if kind is Segment:
        text = node.field(number)
        if number < 3 and node.name in HEADERS:
            return [text] if text else []
        separator = run[COMPONENT]
        return [
            Repetition(part.split(separator)) if part else None
            for part in text.split(run[REPETITION])
        ]
    if kind is Repetition:
        if number <= len(node) and node[number - 1]:
            return [Component(node[number - 1].split(run[SUBCOMPONENT]))]
        return []
    if kind is Component:
        return [decode(run, node[number - 1])] if number <= len(node) else []
    return [node] if number == 1 and isinstance(node, str) else []


def first_of(run: Run, node: Any, number: int) -> Any:
    """The first that `numbered` finds, or None; a list stands for its first item."""
    kind = node.__class__
    if kind is Segment:
        fields = node.fields
        if number >= len(fields) or not fields[number]:
            return None
        text = fields[number]
        if number < 3 and node.name in HEADERS:
            return text
        if run[REPETITION] in text:
            text = text.partition(run[REPETITION])[0]
        return Repetition(text.split(run[COMPONENT])) if text else None
    if kind is Repetition:
        if number > len(node) or not node[number - 1]:
            return None
        return Component(node[number - 1].split(run[SUBCOMPONENT]))
    if kind is Component:
        return decode(run, node[number - 1]) if number <= len(node) else None
    if kind is list:
        return first_of(run, node[0], number) if node else None
    found = numbered(run, node, number)
    return found[0] if found else None


def named(node: Any, name: str) -> list[Any] | None:
    """The segments of a group, or the groups in it; None when the node is no group."""
    if node.__class__ is SegmentGroup:
        return list(node.all(name)) if len(name) == 3 else list(node.named(name))
    return list(node.all(name)) if node.__class__ is Group else None
