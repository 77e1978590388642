"""From a message's segments to its groups, whatever the sender did to their order.

Every segment lands in exactly one group, in the order of the message; nothing is ever refused.  A
segment goes, in this order of preference, from where the last one stood

1. forward in the innermost open group that expects it, or into a new repetition of that group;
2. back to a place of an open group that was passed over without it;
3. into a new repetition of any open group that can hold it;
4. to the innermost open group that holds it, or can open a group that does;
5. otherwise (Z segments, segments of other structures) to where the last one went.

What a segment may do depends only on where the last one stood, so it is worked out once for each
structure and kept: a message costs a look-up and a few comparisons a segment.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from engine.formats.hl7v2.message import Hl7Message
from engine.formats.hl7v2.segment import Segment
from engine.formats.hl7v2.structure import ANY, Group, Part

_ALWAYS: Final = 0
_IF_THERE: Final = 1
_IF_MISSING: Final = 2


class SegmentGroup:
    """A group of one message: a range of its segments, and the groups in it.

    Looking for a segment by name, `all` and `first` stop at the first that applies: those the
    group itself holds; those anywhere in it, when the structure puts them there or knows no place
    for them here; what the groups around it hold, the nearest first, and never what stands in
    another repetition of the same group.
    """

    __slots__ = ("_found", "end", "groups", "parent", "place", "seen", "start", "tree")

    def __init__(
        self, tree: GroupTree, place: Place, parent: SegmentGroup | None, start: int
    ) -> None:
        self.tree = tree
        self.place = place
        self.parent = parent
        self.start = start
        self.end = -1  # of the last segment, plus one; -1: open
        self.groups: list[SegmentGroup] = []
        self.seen = 0  # a bit for each part of the structure that has been here
        self._found: dict[str, list[int]] = {}

    @property
    def name(self) -> str:
        return self.place.group.name

    @property
    def definition(self) -> Group:
        return self.place.group

    # --- segments -----------------------------------------------------------------------------

    def all(self, name: str) -> list[Segment]:
        """The segments of this name as seen from here."""
        if name not in self.tree.present:
            return []
        return [self.tree.segment(at) for at in self._visible(name)]

    def first(self, name: str) -> Segment | None:
        tree = self.tree
        if name not in tree.present:
            return None
        if name in self.place.group.own:
            names, owners = tree.names, tree.owners
            for at in range(self.start, self.end):
                if names[at] == name and owners[at] is self:
                    return tree.segment(at)
            return None
        found = self._visible(name)
        return tree.segment(found[0]) if found else None

    @property
    def segments(self) -> list[Segment]:
        """All segments of the group and the groups in it."""
        return [self.tree.segment(at) for at in range(self.start, self.end)]

    def _visible(self, name: str) -> list[int]:
        if name not in self.tree.present:
            return []
        group = self.place.group
        if name in group.own:
            return self._own(name)
        names = self.tree.names
        found = [at for at in range(self.start, self.end) if names[at] == name]
        if found or name in group.names:
            return found
        around = self.parent
        while around is not None:
            found = around._held(name)
            if found or name in around.place.group.names:
                return found
            around = around.parent
        return []

    def _own(self, name: str) -> list[int]:
        """Those directly in the group."""
        tree = self.tree
        names, owners = tree.names, tree.owners
        return [
            at for at in range(self.start, self.end) if names[at] == name and owners[at] is self
        ]

    def _held(self, name: str) -> list[int]:
        """Those directly in the group, and those in the groups where the structure has them."""
        found = self._found.get(name)
        if found is None:
            found = self._own(name)
            if name not in self.place.group.own:
                for group in self.groups:
                    if name in group.place.group.names:
                        found += group._held(name)
            self._found[name] = found
        return found

    # --- groups -------------------------------------------------------------------------------

    def named(self, name: str) -> list[SegmentGroup]:
        """The groups of this name in this one, at any depth; otherwise in the nearest around it."""
        around: SegmentGroup | None = self
        while around is not None:
            if name in around.place.group.groups:
                return around.inside(name)
            around = around.parent
        return []

    def inside(self, name: str) -> list[SegmentGroup]:
        found: list[SegmentGroup] = []
        for group in self.groups:
            definition = group.place.group
            if definition.name == name:
                found.append(group)
            elif name in definition.groups:
                found += group.inside(name)
        return found

    def __repr__(self) -> str:
        return f"SegmentGroup({self.name!r}, {self.start}, {self.end})"


class GroupTree:
    """The groups of one message; ``root`` is the message itself."""

    __slots__ = ("_nth", "_numbers", "names", "owners", "present", "root", "steps")

    def __init__(self, document: Hl7Message, structure: Structure) -> None:
        self._nth = document.nth
        self.names, self._numbers = document.outline()
        self.present = frozenset(self.names)
        self.owners: list[SegmentGroup] = []
        self.steps = 0
        """How many possible places were looked at: proof that it grows with the message."""
        self.root = SegmentGroup(self, structure.root, None, 0)
        self._grow(structure)

    def segment(self, at: int) -> Segment:
        return self._nth(self._numbers[at])

    def _grow(self, structure: Structure) -> None:
        group, place, item = self.root, structure.root, -1
        owners, steps = self.owners, 0
        at = 0
        for name in self.names:
            moves = place.moves[item + 1].get(name)
            if moves is None:
                moves = structure.moves(place, item, name)
            for up, when, bit, again, path in moves:
                steps += 1
                if when:
                    holder = group
                    for _ in range(up):
                        holder = holder.parent  # type: ignore[assignment]
                    if (holder.seen & bit != 0) is not (when == _IF_THERE):
                        continue
                for _ in range(up + again):
                    group.end = at
                    group = group.parent  # type: ignore[assignment]
                for place, item in path:
                    if place is not group.place:
                        inner = SegmentGroup(self, place, group, at)
                        group.groups.append(inner)
                        group = inner
                    group.seen |= 1 << item
                break
            owners.append(group)
            at += 1
        self.steps = steps + at
        around: SegmentGroup | None = group
        while around is not None:
            around.end = at
            around = around.parent


_Path: TypeAlias = "tuple[tuple[Place, int], ...]"
_Move: TypeAlias = "tuple[int, int, int, int, _Path]"
"""How many groups end (``up``), when it applies, the bit it looks at, 1 when the group itself ends
too, and the items to go to, with the groups to open."""


class Place:
    """A group of a structure, as `GroupTree` walks it."""

    __slots__ = ("at", "group", "items", "moves", "parent", "repeats")

    def __init__(self, group: Group, parent: Place | None, at: int, repeats: bool) -> None:
        self.group = group
        self.parent = parent
        self.at = at
        """Its number among the items of its parent."""
        self.repeats = repeats
        self.items = [_Item(part, self, number) for number, part in enumerate(group.parts)]
        self.moves: list[dict[str, tuple[_Move, ...]]] = [{} for _ in range(len(self.items) + 1)]
        """By the item where the last segment stood (plus one; 0: nothing yet)."""

    def entry(self, name: str, least: int = 0) -> _Path | None:
        """The way to the nearest place for the segment from item ``least`` on; one that leaves
        nothing out within a group comes before one that does."""
        best: _Path | None = None
        for number in range(least, len(self.items)):
            item = self.items[number]
            if name in item.names:
                return ((self, number),)
            if item.place is not None and name in item.place.group.names:
                inner = item.place.entry(name)
                if inner is None:
                    continue
                path: _Path = ((self, number), *inner)
                if _begins(inner):
                    return path
                best = best or path
        return best

    def back(self, name: str) -> _Path | None:
        """The way to the first item for a segment that came too late: the group's own before
        those of the groups in it."""
        for number, item in enumerate(self.items):
            if name in item.names:
                return ((self, number),)
        return self.entry(name)


class _Item:
    __slots__ = ("names", "place", "repeats", "required")

    def __init__(self, part: Part, place: Place, number: int) -> None:
        group = part.group
        self.repeats = part.repeats
        self.required = part.required
        self.names: frozenset[str] = frozenset()
        self.place: Place | None = None
        if group is None:
            self.names = frozenset({part.name} - {ANY})
        elif group.choice and not group.name and not group.groups:
            self.names = group.own - {ANY}
        else:
            self.place = Place(group, place, number, part.repeats)


class Structure:
    """A message structure with what has been worked out about it so far.  Shared by threads: each
    may work out the same move, and all of them are equal."""

    __slots__ = ("group", "name", "root")

    def __init__(self, group: Group) -> None:
        self.group = group
        self.name = group.name
        self.root = Place(group, None, 0, False)

    def moves(self, place: Place, item: int, name: str) -> tuple[_Move, ...]:
        """What the segment may do, the best first."""
        found = place.moves[item + 1][name] = tuple(_moves(place, item, name))
        return found


def _moves(place: Place, item: int, name: str) -> list[_Move]:
    near: list[_Move] = []
    again: list[_Move] = []
    far: list[_Move] = []
    same: list[_Move] = []
    last: list[_Move] = []
    level: Place | None = place
    at, up = item, 0
    while level is not None:
        if name in level.group.names:
            _from(level, at, up, name, (near, again, same, far, last))
        at, up, level = level.at, up + 1, level.parent
    return [*near, *again, *same[:1], *far, *last[:1]]


def _from(
    level: Place,
    at: int,
    up: int,
    name: str,
    kinds: tuple[list[_Move], ...],
) -> None:
    """What one open group offers, whose part ``at`` was the last."""
    near, again, same, far, last = kinds
    here = level.items[at] if at >= 0 else None
    if here is not None and here.repeats and name in here.names:
        near.append((up, _ALWAYS, 0, 0, ((level, at),)))
        return
    if here is not None and here.repeats and here.place is not None:
        inner = here.place.entry(name)
        if inner is not None and _begins(inner):
            near.append((up, _ALWAYS, 0, 0, ((level, at), *inner)))
            return
    forward = None if level.group.choice and at >= 0 else level.entry(name, at + 1)
    if forward is not None:
        (near if _begins(forward[1:]) else far).append((up, _ALWAYS, 0, 0, forward))
    path = level.back(name)
    if path is None or path[0][1] > at:
        return
    number = path[0][1]
    bit = 1 << number
    inside = path[1:]
    if level.repeats:
        if _begins(path):
            near.append((up, _ALWAYS, 0, 1, path))
        elif not inside and not any(item.required for item in level.items[:number]):
            near.append((up, _IF_THERE, bit, 1, path))
        elif _begins(inside) if inside else level.items[number].required:
            again.append((up, _IF_THERE, bit, 1, path))
    if number > 0 or not level.repeats:
        near.append((up, _IF_MISSING, bit, 0, path))
    if inside:
        last.append((up, _ALWAYS, 0, 0, path))
    else:  # once more, without going back
        same.append((up, _ALWAYS, 0, 0, ((level, at),)))


def _begins(path: _Path) -> bool:
    """Whether it leaves out nothing of the groups on its way."""
    return all(number == 0 or place.group.choice for place, number in path)


def group_tree(document: Hl7Message, structure: Structure) -> GroupTree:
    """The groups of a message by a structure.  Never raises; linear in the segments."""
    return GroupTree(document, structure)
