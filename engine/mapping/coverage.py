"""Which rules of a project its test cases have seen write a value: over all mappings together.

A map of a library counts once, however many mappings import it, and is covered when it wrote for
any of them, or for a case of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.mapping.tracing import Rule
from engine.syntax import Position


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """The rules of one mapping or library file."""

    file: str
    rules: tuple[Rule, ...]
    """In the order of the file."""
    uncovered: tuple[Rule, ...]
    uncalled: tuple[str, ...]
    """Maps of the file that no mapping calls; their rules count all the same."""

    @property
    def covered(self) -> int:
        return len(self.rules) - len(self.uncovered)


def coverage_of(
    mappings: Iterable[Iterable[Rule]],
    libraries: Mapping[str, Iterable[Rule]],
    written: Iterable[Rule],
) -> tuple[FileCoverage, ...]:
    """``mappings`` are the rules of each mapping with those of its imports, ``libraries`` those of
    each library by itself.  Files are in the order of their names.

    A rule is its place: an overlay moves what it inherits in the tree, never in the file.
    """
    called = {rule.position: rule for rules in mappings for rule in rules}
    rules = dict(called)
    uncalled: dict[str, set[str]] = {}
    for own in libraries.values():
        found: dict[str, list[Position]] = {}
        for rule in own:
            rules.setdefault(rule.position, rule)
            found.setdefault(map_of(rule), []).append(rule.position)
        for name, places in found.items():
            if not any(place in called for place in places):
                uncalled.setdefault(places[0].file, set()).add(name)
    seen = {rule.position for rule in written}
    files: dict[str, list[Rule]] = {}
    for place in sorted(rules, key=lambda place: (place.file, place.line, place.column)):
        files.setdefault(place.file, []).append(rules[place])
    return tuple(
        FileCoverage(
            file,
            tuple(inside),
            tuple(rule for rule in inside if rule.position not in seen),
            tuple(sorted(uncalled.get(file, ()))),
        )
        for file, inside in files.items()
    )


def percent(covered: int, rules: int) -> float:
    """100 where there is nothing to cover."""
    return 100.0 * covered / rules if rules else 100.0


def map_of(rule: Rule) -> str:
    """The map that a rule of a library stands in."""
    return rule.path.partition(".")[0].partition("[")[0]
