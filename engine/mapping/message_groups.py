"""Groups of a message's structure as the start of a path: ``ORDER_OBSERVATION[*]``, ``PATIENT``.

The tree of groups is made once a run, when a path first asks for it.  Inside a loop over groups a
name means the groups in the one whose turn it is, then those in the groups around it.
"""

from __future__ import annotations

from typing import Any

from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.hl7v2.structure_table import groups_of
from engine.mapping.elements import GROUPS
from engine.mapping.runstate import CONTEXT, DOCUMENT, UNREAD, Code, Run
from engine.mapping.scope import Scope, Unit


def message_root(unit: Unit) -> Code:
    """The message as a group, made once a run."""
    if unit.groups_cell is None:
        unit.groups_cell = unit.layout.cell(UNREAD)
    cell, fallback = unit.groups_cell, unit.messages[0] if unit.messages else ""

    def root_of(run: Run) -> Any:
        root = run[cell]
        if root is UNREAD:
            root = run[cell] = groups_of(run[DOCUMENT], run[CONTEXT].structures, fallback).root
        return root

    return root_of


def every_group(name: str, scope: Scope, unit: Unit) -> Code:
    """All groups of that name, in the order of the message; never None."""
    root_of = message_root(unit)
    around = scope.home().group

    def of_message(run: Run) -> Any:
        return root_of(run).inside(name)

    if around is None:
        return of_message

    def of_group(run: Run) -> Any:
        group = run[around]
        if group.__class__ is SegmentGroup:
            return group.named(name)
        return group.around.named(name) if group.around is not None else of_message(run)

    return of_group


def first_group(name: str, scope: Scope, unit: Unit) -> Code:
    """The first of them, or None."""
    every = every_group(name, scope, unit)

    def first(run: Run) -> Any:
        found = every(run)
        return found[0] if found else None

    return first


def only_groups(source: Code) -> Code:
    """What a loop over groups walks: a variable may hold something else."""

    def groups(run: Run) -> Any:
        found = source(run)
        if found.__class__ is list:
            return [item for item in found if item.__class__ in GROUPS] or None
        return found if found.__class__ in GROUPS else None

    return groups
