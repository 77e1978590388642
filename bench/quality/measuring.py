"""One pair measured: converted, written, compared leaf by leaf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.quality.corpora import Pair
from bench.quality.tools import CLASSES, IGNORED_V2, compare, compare_v2, options
from engine.contract import EngineError
from engine.mapping import Converter

Leaf = tuple[str, str, str]
"""Kind (hit, miss, extra, conflict), class (traced …; of HL7 v2 'leaf'), path."""


@dataclass(slots=True)
class Measured:
    """``counts``: type → class → hit, miss, extra, conflict; ``values`` are shown to the author of
    a map only."""

    pair: Pair
    failure: str = ""
    mapping: str = ""
    counts: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    values: list[tuple[Leaf, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Score:
    recall: float
    precision: float
    conflict: float
    expected: int
    produced: int

    @classmethod
    def of(cls, counts: Counter[str]) -> Score:
        hit, expected = counts["hit"], counts["hit"] + counts["miss"]
        produced = hit + counts["extra"]
        recall = hit / expected if expected else float(not produced)
        precision = hit / produced if produced else float(not expected)
        return cls(
            recall,
            precision,
            counts["conflict"] / expected if expected else 0.0,
            expected,
            produced,
        )


def measure(pair: Pair, converter: Converter) -> Measured:
    """An input that cannot be converted has every expected leaf missing."""
    measured = Measured(pair)
    produced = pair.produced
    produced.parent.mkdir(parents=True, exist_ok=True)
    produced.unlink(missing_ok=True)
    body, used = pair.source.read_bytes(), []
    try:
        for step in pair.steps:
            overlay = pair.overlay if step == pair.to else None
            ready = converter.prepare(
                body,
                step,
                mapping=overlay.mapping if overlay else None,
                params=overlay.params if overlay else None,
            )
            used.append(ready.mapping.name)
            body = ready.mapping.render(ready.document, ready.context).body
        produced.write_bytes(body)
    except EngineError as error:
        measured.failure = told(error)
    measured.mapping = ", ".join(used)
    done = None if measured.failure else produced
    if pair.to == "hl7v2":
        _compare_v2(measured, done, pair.expected)
    else:
        _compare_fhir(measured, done, pair)
    return measured


def total(measured: Iterable[Measured], *, aside: Iterable[str] = ()) -> dict[str, Counter[str]]:
    """By class, over all types but those."""
    sums: dict[str, Counter[str]] = {}
    for one in measured:
        for type, classes in one.counts.items():
            for name, counts in classes.items() if type not in aside else ():
                sums.setdefault(name, Counter()).update(counts)
    return sums


def by_type(measured: Iterable[Measured]) -> dict[str, dict[str, Counter[str]]]:
    sums: dict[str, dict[str, Counter[str]]] = {}
    for one in measured:
        for type, classes in one.counts.items():
            for name, counts in classes.items():
                sums.setdefault(type, {}).setdefault(name, Counter()).update(counts)
    return dict(sorted(sums.items()))


def told(error: EngineError) -> str:
    place = f" ({error.info.location})" if error.info.location else ""
    return f"{error.info.code}: {error.info.summary}{place}"


def _compare_fhir(measured: Measured, produced: Path | None, pair: Pair) -> None:
    source = compare.Source(str(pair.source))
    found = compare.compare(str(produced or pair.expected), str(pair.expected), options(), source)
    for type, result in found.items():
        detail = result["detail"]
        if produced is None:
            detail = {"hit": [], "miss": detail["hit"], "extra": [], "conflict": []}
        classes = measured.counts[type] = {name: Counter() for name in CLASSES}
        for kind in ("hit", "miss", "extra", "conflict"):
            for path, *values in detail[kind]:
                name = source.cls(path, values[-1])
                classes[name][kind] += 1
                if kind != "hit":
                    shown = " ≠ ".join(values)
                    measured.values.append(((kind, name, path), shown))


def _compare_v2(measured: Measured, produced: Path | None, expected: Path) -> None:
    ignored = set(IGNORED_V2)
    ours = compare_v2.strip(compare_v2.parse(str(produced)), ignored) if produced else []
    theirs = compare_v2.strip(compare_v2.parse(str(expected)), ignored)
    for name in sorted({n for n, _ in ours} | {n for n, _ in theirs}):
        mine = [segment for n, segment in ours if n == name]
        wanted = [segment for n, segment in theirs if n == name]
        counts = measured.counts[name] = {"leaf": Counter()}
        aligned = compare_v2.align(mine, wanted, name) if mine and wanted else []
        left, right = {i for i, _ in aligned}, {j for _, j in aligned}
        for i, j in aligned:
            _segment(measured, name, mine[i], wanted[j], counts["leaf"])
        for i, segment in enumerate(mine):
            if i not in left:
                _segment(measured, name, segment, {}, counts["leaf"])
        for j, segment in enumerate(wanted):
            if j not in right:
                _segment(measured, name, {}, segment, counts["leaf"])


def _segment(measured: Measured, name: str, mine: Any, wanted: Any, counts: Counter[str]) -> None:
    """The leaves of two aligned segments; repetitions are paired as compare_v2.py pairs them."""
    for number in sorted({*mine, *wanted}):
        left = list(mine.get(number, ()))
        for repetition in wanted.get(number, ()):
            best = max(
                range(len(left)),
                key=lambda n: (compare_v2.mrep(left[n], repetition), -n),
                default=None,
            )
            paired = {} if best is None else left[best]
            if best is not None and (compare_v2.mrep(paired, repetition) or len(left) == 1):
                left.pop(best)
            else:
                paired = {}
            _leaves(measured, f"{name}-{number}", paired, repetition, counts)
        for extra in left:
            _leaves(measured, f"{name}-{number}", extra, {}, counts)


def _leaves(measured: Measured, path: str, mine: Any, wanted: Any, counts: Counter[str]) -> None:
    for part in sorted({*mine, *wanted}):
        component, sub = part
        place = f"{path}.{component}" + (f".{sub}" if sub > 1 else "")
        ours, theirs = mine.get(part), wanted.get(part)
        if (
            ours is not None
            and theirs is not None
            and (compare_v2.norm(ours) == compare_v2.norm(theirs))
        ):
            counts["hit"] += 1
            continue
        if ours is not None and theirs is not None:
            counts["conflict"] += 1
            measured.values.append((("conflict", "leaf", place), f"{ours} ≠ {theirs}"))
        if theirs is not None:
            counts["miss"] += 1
            measured.values.append((("miss", "leaf", place), theirs))
        if ours is not None:
            counts["extra"] += 1
            measured.values.append((("extra", "leaf", place), ours))
