"""The ledger of a run: every leaf of the source, read by which rules or by nobody.

Loss is counted, not guessed: whatever a message says is *used* (a rule wrote something for which
it was read), *tested* (a condition looked at it, or a rule that wrote nothing), *syntax* (the
separators of MSH-1 and MSH-2) or *unused*.  A field that is read as a whole counts with those of
its parts that were really read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from engine.contract import Document, MapContext
from engine.mapping.compiled import CompiledMapping
from engine.mapping.leaves import SourceLeaf, placed_document
from engine.mapping.placed import Account, Place, Placed, Span
from engine.mapping.runstate import ACCOUNT, UNESCAPE
from engine.mapping.tracing import Rule, Traced
from engine.syntax import Position


class Use(StrEnum):
    USED = "used"
    TESTED = "tested"
    UNUSED = "unused"
    SYNTAX = "syntax"


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of the source.  ``value`` may be clinical: it is shown to who asked, not logged."""

    place: str
    """``OBX[3]-5[1].2.1``, ``entry[2].resource.gender``, ``/ClinicalDocument/id/@root``."""
    value: str = field(repr=False)
    use: Use
    rules: tuple[Position, ...] = ()
    targets: tuple[str, ...] = ()
    """Where in the output it went."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Of one run.  Each leaf of the source has one entry, in the order of the source."""

    entries: tuple[Entry, ...]

    @property
    def counts(self) -> Counter[Use]:
        return Counter(entry.use for entry in self.entries)

    @property
    def unused(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.use is Use.UNUSED)

    @property
    def mapped(self) -> float:
        """The share of the leaves that are used, tested or syntax; 1 for an empty source."""
        unused = self.counts[Use.UNUSED]
        return 1.0 if not self.entries else 1 - unused / len(self.entries)


def ledger(mapping: CompiledMapping, document: Document, context: MapContext) -> Ledger:
    """Runs the mapping and accounts for its source.  Raises MappingError as `mapping.apply`."""
    traced = mapping.traced()
    if traced is None:
        raise ValueError("the mapping does not compile any more: its imports have changed")
    return ledger_of(traced, document, context)


def ledger_of(traced: CompiledMapping, document: Document, context: MapContext) -> Ledger:
    """The same with an instrumented mapping that is there already."""
    return accounted(traced, document, context)[1]


def accounted(
    traced: CompiledMapping, document: Document, context: MapContext
) -> tuple[Any, Ledger]:
    """The output, its leaves `Traced`, with the ledger."""
    placed, leaves = placed_document(document)
    run = traced.begin(placed, context)
    account = run[ACCOUNT] = Account()
    if run[UNESCAPE] is not None:
        run[UNESCAPE] = _unescaping(run[UNESCAPE])
    tree = traced.finish(run)
    return tree, _settled(leaves, account, tree)


def _unescaping(unescape: Any) -> Any:
    """Decoded text is where its raw text was."""

    def placed(text: str) -> str:
        found: str = unescape(str(text))
        if not isinstance(text, Placed) or not found:
            return found
        return Placed.of(found, text.field, text.start, text.length)

    return placed


def _settled(leaves: list[SourceLeaf], account: Account, tree: Any) -> Ledger:
    index = _Index(leaves)
    uses = [Use.SYNTAX if leaf.syntax else Use.UNUSED for leaf in leaves]
    rules: dict[int, dict[Position, None]] = {}
    targets: dict[int, dict[str, None]] = {}
    for number in index.all(account.tested):
        uses[number] = Use.TESTED
    for target, found in _written(tree, ""):
        for number in index.all(found.places):
            uses[number] = Use.USED
            known = rules.setdefault(number, {})
            for rule in _rules(found):
                known[rule.position] = None
            targets.setdefault(number, {})[target] = None
    return Ledger(
        tuple(
            Entry(
                leaf.place,
                leaf.value,
                uses[number],
                tuple(rules.get(number, ())),
                tuple(targets.get(number, ())),
            )
            for number, leaf in enumerate(leaves)
        )
    )


class _Index:
    """Finds the leaves that a place covers."""

    def __init__(self, leaves: list[SourceLeaf]) -> None:
        self._by_place = {leaf.place: number for number, leaf in enumerate(leaves)}
        spans = [(leaf.at, number) for number, leaf in enumerate(leaves) if leaf.at is not None]
        self._starts = [(span.field, span.start) for span, _ in spans]
        self._spans = spans

    def all(self, places: Iterable[Place]) -> Iterator[int]:
        for place in set(places):
            if isinstance(place, Span):
                yield from self._inside(place)
            elif place in self._by_place:
                yield self._by_place[place]

    def _inside(self, place: Span) -> Iterator[int]:
        at = bisect_left(self._starts, (place.field, place.start))
        while at < len(self._spans):
            span, number = self._spans[at]
            if span.field != place.field or span.end > place.end:
                return
            yield number
            at += 1


def _rules(found: Traced) -> tuple[Rule, ...]:
    return (found.rule, *found.through)


def _written(tree: Any, path: str) -> Iterator[tuple[str, Traced]]:
    """Each traced leaf of the output with its place, as `explain` writes it."""
    if isinstance(tree, Traced):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _written(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree, start=1):
            yield from _written(value, f"{path}[{number}]")
