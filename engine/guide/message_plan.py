"""From rows to resources: what is built in which group, of which parts, and what refers to what.

A resource stands in the innermost group that holds all its parts.  Groups that do not repeat are
no scope of their own.  A segment that repeats and alone makes a resource makes one each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.guide.message_tables import Label, Reference

Groups = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A segment map's share in a resource."""

    groups: Groups
    segment: str
    repeats: bool
    when: str
    """The condition as an expression, empty when it always holds."""
    map: str
    under: str = ""
    """The element it fills, where it is not the resource itself."""
    refers: bool = False
    """Whether the element refers to what the map gives."""


@dataclass(slots=True)
class Resource:
    """One resource of a message, or one of each time its scope or segment repeats."""

    label: Label
    scope: Groups = ()
    each: str = ""
    """The segment that makes one each time it stands there."""
    parts: list[Part] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    @property
    def whens(self) -> tuple[str, ...]:
        """The conditions of its first segment; empty when it is made without one."""
        first = self.parts[0]
        whens = tuple(p.when for p in self.parts if p.segment == first.segment)
        return () if "" in whens else whens


@dataclass(frozen=True, slots=True)
class Plan:
    """A message's resources, and the groups that repeat, each with those inside it."""

    message: str
    resources: Mapping[Label, Resource]
    groups: Mapping[Groups, bool]
    segments: Mapping[str, frozenset[Groups]]

    def scopes(self) -> tuple[Groups, ...]:
        """The message itself and the repeating groups in which anything is built, outer first."""
        found: dict[Groups, None] = {(): None}
        for resource in self.resources.values():
            for length in range(1, len(resource.scope) + 1):
                if self.groups.get(resource.scope[:length], False):
                    found[resource.scope[:length]] = None
        return tuple(found)

    def inside(self, scope: Groups) -> tuple[Resource, ...]:
        return tuple(found for found in self.resources.values() if found.scope == scope)

    def children(self, scope: Groups) -> tuple[Groups, ...]:
        return tuple(
            found for found in self.scopes() if found != scope and self.around(found) == scope
        )

    def around(self, scope: Groups) -> Groups:
        """The scope outside a scope."""
        return repeating(scope[:-1], self.groups)

    def home(self, segment: str, scope: Groups) -> Groups | None:
        """The group outside or at ``scope`` in which the segment stands once; None when in none.

        Groups inside ``scope`` count when nothing between repeats.
        """
        best: Groups | None = None
        for groups in sorted(self.segments.get(segment, ())):
            holder = repeating(groups, self.groups)
            nearer = best is None or len(holder) > len(repeating(best, self.groups))
            if scope[: len(holder)] == holder and nearer:
                best = groups
        return best


def repeating(groups: Groups, repeats: Mapping[Groups, bool]) -> Groups:
    """The innermost repeating group among ``groups``; the message itself when none repeats."""
    while groups and not repeats.get(groups, False):
        groups = groups[:-1]
    return groups


def common(places: Iterable[Groups]) -> Groups:
    """The groups that all have in common, from the outside."""
    found: Groups | None = None
    for groups in places:
        if found is None:
            found = groups
        while found != groups[: len(found)]:
            found = found[:-1]
    return found or ()


def flattened(groups: Groups, segments: Mapping[Groups, set[str]]) -> Groups:
    """An outermost group of which one segment only is mapped is as good as that segment.

    Versions of HL7 differ in such groups: NK1 of an ADT stands alone until 2.8 and in NEXT_OF_KIN
    later.
    """
    if len(groups) == 1 and len(segments.get(groups, ())) == 1:
        return ()
    return groups


def settle(resources: Sequence[Resource], groups: Mapping[Groups, bool]) -> dict[Label, Resource]:
    """The resources with their scopes and what makes one each."""
    for resource in resources:
        resource.scope = repeating(common(part.groups for part in resource.parts), groups)
        first = resource.parts[0]
        alone = {part.segment for part in resource.parts} == {first.segment}
        if first.repeats and alone and repeating(first.groups, groups) == resource.scope:
            resource.each = first.segment
    return {resource.label: resource for resource in resources}
