"""The rows of one map as a tree in the shape of the output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from engine.guide.conditions import Condition, parse_condition
from engine.guide.rows import Row
from engine.guide.targets import Target, TargetError, parse_target

_WHOLE: Final = ("$value", "$this")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row with its condition read."""

    row: Row
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Key:
    """A child of a node: an element, the label of its entry in a list, and the resource that it
    refers to, if it is a reference."""

    name: str
    label: str = ""
    resource: str = ""


@dataclass(slots=True)
class Tree:
    """``rules`` give this place as a whole; ``children`` its elements.  Where the place is a
    reference, both are about the resource."""

    rules: list[Rule] = field(default_factory=list)
    children: dict[Key, Tree] = field(default_factory=dict)

    def walk(self) -> Iterator[Rule]:
        yield from self.rules
        for child in self.children.values():
            yield from child.walk()

    def child(self, key: Key) -> Tree:
        return self.children.setdefault(key, Tree())


def read(row: Row) -> tuple[Rule, Target]:
    """Raises TargetError or ConditionError."""
    target = parse_target(row.target)
    condition = parse_condition(row.condition, row.source) if row.condition else None
    return Rule(row, condition), target


def plant(tree: Tree, rule: Rule, target: Target) -> None:
    """Put a rule where its target is.  Raises TargetError for a label on nothing."""
    steps = [step for step in target.steps if step.name not in _WHOLE]
    if steps and not steps[0].name:  # "[1].family": a label of the map itself
        steps = steps[1:]
    at = tree
    for number, step in enumerate(steps, start=1):
        if not step.name or not re.fullmatch(r"\d*", step.label):
            raise TargetError(f"label '{step.label}' says nothing")
        resource = target.resource if number == len(steps) else ""
        at = at.child(Key(step.name, step.label, resource))
    if target.within is None:
        at.rules.append(rule)
    else:
        plant(at, rule, target.within)


def note(rules: Iterable[Rule]) -> str:
    return ", ".join(dict.fromkeys(rule.row.source for rule in rules if rule.row.source))


def row_of(rules: list[Rule], source: str) -> Row:
    return next(rule.row for rule in rules if rule.row.source == source)


def graft(tree: Tree, key: Key, child: Tree) -> None:
    at = tree.child(key)
    at.rules += child.rules
    for below, grandchild in child.children.items():
        graft(at, below, grandchild)
