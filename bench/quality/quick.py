"""What the author of a map looks at: scores of a part, and where its leaves go astray."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from bench.quality.measuring import Measured, Score, by_type, total
from bench.quality.outputs import Outputs, frequent, total_of, unused_fields
from bench.quality.tools import ASIDE, CLASSES
from engine.mapping.accounting import Use


def show(measured: Sequence[Measured], top: int) -> None:
    groups: dict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        groups[one.pair.group].append(one)
    for name, part in groups.items():
        print(f"\n== {name}: {len(part)} pairs, {sum(bool(one.failure) for one in part)} failed")
        _failures(part)
        _mappings(part)
        _table(part)
        _paths(part, top)


def _failures(part: Sequence[Measured]) -> None:
    reasons = Counter(one.failure for one in part if one.failure)
    for reason, count in reasons.most_common(20):
        example = next(one.pair.id for one in part if one.failure == reason)
        print(f"   {count:4} {reason}   e.g. {example}")


def _mappings(part: Sequence[Measured]) -> None:
    used = Counter(one.mapping or "(no mapping)" for one in part)
    print("   " + ", ".join(f"{name} {count}" for name, count in used.most_common()))


def _table(part: Sequence[Measured]) -> None:
    types = by_type(part)
    names = [name for name in (*CLASSES, "leaf") if any(name in one for one in types.values())]
    core = total(part, aside=ASIDE)
    head = "".join(f" | {name:>8} recall  prec. confl." for name in names)
    print(f"   {'':24}{head}")
    rows = [(type, classes) for type, classes in types.items()]
    for type, classes in [*rows, ("core", core), ("all", total(part))]:
        cells = []
        for name in names:
            score = Score.of(classes.get(name, Counter()))
            numbers = f"{score.recall:6.3f} {score.precision:6.3f} {score.conflict:6.3f}"
            cells.append(f" | {score.expected:8} {numbers if score.expected else '':>20}")
        print(f"   {type:24}{''.join(cells)}")


def _paths(part: Sequence[Measured], top: int) -> None:
    if not top:
        return
    counted: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    example: dict[tuple[str, str, str], str] = {}
    for one in part:
        for (kind, name, path), value in one.values:
            if path.partition(".")[0] in ASIDE:
                continue
            counted[kind][name, path] += 1
            example.setdefault((kind, name, path), f"{one.pair.id}: {value}")
    for kind in ("miss", "extra", "conflict"):
        print(f"   top {kind}, core:")
        weighed = sorted(counted[kind].items(), key=lambda one: (one[0][0] == "style", -one[1]))
        for (name, path), count in weighed[:top]:
            print(f"   {count:6} {name:7} {path:58} {example[kind, name, path][:90]}")


def show_pair(one: Measured) -> None:
    print(f"{one.pair.id}: {one.pair.source} → {one.pair.expected}")
    print(f"mapping {one.mapping or '-'} {one.failure}")
    for (kind, name, path), value in sorted(one.values):
        print(f"  {kind:8} {name:7} {path:58} {value[:140]}")


def show_messages(outputs: Outputs, top: int) -> None:
    part = outputs.every
    counts = total_of(part)
    print(f"{len(part)} messages, {sum(bool(one.failure) for one in part)} failed")
    for reason, count in frequent([one.failure for one in part if one.failure]):
        print(f"   {count:4} {reason}")
    findings = [text for one in part for text in one.findings]
    print(f"{sum(bool(one.findings) for one in part)} outputs are not valid R4")
    for text, count in frequent(findings, top):
        print(f"   {count:4} {text}")
    print("leaves: " + ", ".join(f"{count} {use}" for use, count in sorted(counts.items())))
    for name in sorted({one.mapping for one in part if one.ledger is not None}):
        own = total_of(one for one in part if one.mapping == name)
        share = 1 - own[Use.UNUSED] / (own.total() or 1)
        print(f"   {share:6.1%} of {own.total():6} leaves mapped by {name}")
    print("unused (leaves, messages):")
    for place, leaves, messages in unused_fields(part)[:top]:
        print(f"   {leaves:5} {messages:5} {place}")
