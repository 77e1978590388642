"""Places in the YAML of a mapping, as overlays name them: ``out.entry[allergy].resource.code``.

A step is a key, in quotes where it holds a dot or a bracket, or the ``$id`` of a list entry in
brackets.  Nodes are immutable: a change gives a new tree that shares what is unchanged, so every
node keeps its own position.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from engine.syntax import Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

_STEP: Final = re.compile(
    r"'(?P<quoted>[^']+)'|(?P<key>[^.\[\]'\s][^.\[\]']*)|\[(?P<id>[^\[\]]+)\]"
)
LABEL: Final = "$id"


@dataclass(frozen=True, slots=True)
class Step:
    """A key, or with ``labelled`` the ``$id`` of a list entry; ``start`` is where it is written."""

    name: str
    labelled: bool = False
    start: int = 0

    def __str__(self) -> str:
        return f"[{self.name}]" if self.labelled else self.name


class NoSuchPlace(Exception):
    """A step that matches nothing.  ``problem`` and ``help`` are for the engineer."""

    def __init__(self, step: Step, problem: str, help: str | None = None) -> None:
        super().__init__(problem)
        self.step, self.problem, self.help = step, problem, help


def steps_of(text: str) -> tuple[Step, ...]:
    """The steps of a path; empty when it cannot be read."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if steps and text[at] == ".":
            at += 1
        elif steps and text[at] != "[":
            return ()
        found = _STEP.match(text, at)
        if found is None or (found["id"] is not None and (not steps or text[at - 1] == ".")):
            return ()
        name = found["quoted"] or found["key"] or found["id"]
        steps.append(Step(name.strip(), found["id"] is not None, at))
        at = found.end()
    return tuple(steps)


def find(node: Node, step: Step) -> Node | None:
    """What one step leads to."""
    if step.labelled:
        items = node.items if isinstance(node, Sequence) else ()
        return next((item for item in items if label_of(item) == step.name), None)
    return node.get(step.name) if isinstance(node, Mapping) else None


def label_of(item: Node) -> str | None:
    """The ``$id`` of a list entry."""
    label = item.get(LABEL) if isinstance(item, Mapping) else None
    return label.text if isinstance(label, Scalar) else None


def repeated_labels(items: Iterable[Node]) -> Iterator[Scalar]:
    """The ``$id`` of each list entry whose label an entry before it has."""
    seen: set[str] = set()
    for item in items:
        label = item.get(LABEL) if isinstance(item, Mapping) else None
        if not isinstance(label, Scalar):
            continue
        if label.text in seen:
            yield label
        seen.add(label.text)


def changed(node: Node, steps: tuple[Step, ...], change: Callable[[Node], Node | None]) -> Node:
    """A tree with ``change`` of what stands at the place; None takes it away.

    Raises NoSuchPlace.
    """
    step, rest = steps[0], steps[1:]
    found = find(node, step)
    if found is None:
        raise _missing(node, step)
    fresh = changed(found, rest, change) if rest else change(found)
    if isinstance(node, Sequence):
        at = next(n for n, item in enumerate(node.items) if label_of(item) == step.name)
        put = () if fresh is None else (fresh,)
        return Sequence((*node.items[:at], *put, *node.items[at + 1 :]), node.position)
    assert isinstance(node, Mapping)  # noqa: S101 - find() has looked into it
    entries = ((key, fresh if key.text == step.name else value) for key, value in node.entries)
    kept = tuple((key, value) for key, value in entries if value is not None)
    return Mapping(kept, node.position)


def relabelled(fresh: Node, step: Step) -> Node:
    """A new list entry under the label of the one it replaces, unless it has its own."""
    if not step.labelled or not isinstance(fresh, Mapping) or LABEL in fresh:
        return fresh
    at = fresh.position
    label = (Scalar(LABEL, False, at), Scalar(step.name, True, at))
    return Mapping((label, *fresh.entries), at)


def _missing(node: Node, step: Step) -> NoSuchPlace:
    if step.labelled:
        if not isinstance(node, Sequence):
            return NoSuchPlace(step, f"there is no list to look for '{step.name}' in")
        labels = [label for item in node.items if (label := label_of(item)) is not None]
        help = did_you_mean(step.name, labels) if labels else "no entry of this list has an $id"
        return NoSuchPlace(step, f"no entry with the $id '{step.name}'", help)
    if isinstance(node, Sequence):
        labels = [label for item in node.items if (label := label_of(item)) is not None]
        known = ", ".join(f"[{label}]" for label in labels)
        help = f"name an entry by its $id: {known}" if labels else "none of its entries has an $id"
        return NoSuchPlace(step, f"a list has no key '{step.name}'", help)
    if not isinstance(node, Mapping):
        return NoSuchPlace(step, f"there is no '{step.name}': what stands here is a single value")
    return NoSuchPlace(step, f"no key '{step.name}'", did_you_mean(step.name, node.keys()))
