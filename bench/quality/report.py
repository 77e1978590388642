"""docs/mapping-quality.md: the figures of all corpora, beside what they shall be."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.quality.corpora import ROOT
from bench.quality.goals import share, verdicts
from bench.quality.measuring import Measured, Score, by_type, total
from bench.quality.outputs import Output, Outputs, frequent, invalid, total_of, unused_fields
from bench.quality.tools import ASIDE, CLASSES
from engine.formats.json import read_json
from engine.mapping.accounting import Use

FILE: Final = ROOT / "docs/mapping-quality.md"
_INTRODUCTION: Final = """\
# How good the shipped mappings are

Written by `make mapping-report`; do not edit it. Each pair of the shared corpora is converted and
compared, leaf by leaf, with what another engine made of the same message. That is an opinion, not
the truth: a leaf more or another system's name is no error by itself. *traced* leaves hold a value
that stands in the source, *coded* leaves are decisions of vocabulary, *style* is the rest (systems,
displays, profiles). *Conflict* is another value at the same place. *Core* leaves out the resources
of which other engines write many with one leaf each: Organization, Location, Practitioner,
PractitionerRole, Provenance, Device.

A look at a part, while a map is written: `make mapping-report ONLY="microsoft-v2" TOP=40`, and
`PAIR=ID` for the values of one pair.
"""


def write(
    measured: Sequence[Measured], plain: Sequence[Measured], outputs: Outputs, file: Path = FILE
) -> None:
    """``plain`` are the pairs with an overlay once more, without it."""
    groups: dict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        groups[one.pair.group].append(one)
    lines = [_INTRODUCTION, *_goals(groups, outputs)]
    for name, part in groups.items():
        lines += _group(name, part)
        lines += _overlays(part, [one for one in plain if one.pair.group == name])
    lines += _outputs(outputs, measured)
    lines += _ledger(outputs)
    lines += _failures(measured, outputs)
    file.write_text("\n".join(lines).rstrip() + "\n", "utf-8")


def _goals(groups: Mapping[str, Sequence[Measured]], outputs: Outputs) -> Iterator[str]:
    rows = verdicts(groups)
    official = outputs.official
    mapped = [one for one in official if not one.failure]
    valid = [one for one in mapped if not one.findings]
    name = "messages with an official map"
    rows.append(share(f"{name}: converted", 1.0, len(mapped), len(official)))
    rows.append(share(f"{name}: output is valid R4", 1.0, len(valid), len(official)))
    counts, leaves = total_of(official), sum(one.leaves for one in official)
    rows.append(share(f"{name}: leaves accounted for", 1.0, counts.total(), leaves))
    read = counts.total() - counts[Use.UNUSED]
    rows.append(share(f"{name}: leaves mapped", 0.75, read, leaves))
    yield "## Goals\n"
    yield from table(("what", "goal", "reached", ""), rows)


def _group(name: str, part: Sequence[Measured]) -> Iterator[str]:
    failed = sum(bool(one.failure) for one in part)
    yield f"## {name}\n"
    yield f"{len(part)} pairs, {failed} not converted.\n"
    types = by_type(part)
    names = [one for one in (*CLASSES, "leaf") if any(one in classes for classes in types.values())]
    heads = [
        f"{one} {what}" for one in names for what in ("leaves", "recall", "precision", "conflict")
    ]
    rows = []
    both = [("**core**", total(part, aside=ASIDE)), ("**all**", total(part))]
    for type, classes in (
        [*both, *types.items()] if "leaf" not in names else [both[1], *types.items()]
    ):
        cells = [type]
        for one in names:
            score = Score.of(classes.get(one, Counter()))
            numbers = (score.recall, score.precision, score.conflict)
            shown = [f"{number:.3f}" for number in numbers] if score.expected else ["", "", ""]
            cells += [str(score.expected), *shown]
        rows.append(cells)
    yield from table(("", *heads), rows)


def _overlays(part: Sequence[Measured], plain: Sequence[Measured]) -> Iterator[str]:
    """Which overlays of mappings/sites made the group, and what the mapping makes without them."""
    used = Counter(one.pair.overlay.mapping for one in part if one.pair.overlay)
    if used:
        named = ", ".join(f"`{name}` ({count})" for name, count in sorted(used.items()))
        score = Score.of(total(plain).get("leaf", Counter()))
        yield f"Made by overlays that come with Carebus, the agency as their parameter: {named}."
        yield "What is expected there is what one agency's own transformation made. Without the"
        yield f"overlays: recall {score.recall:.3f}, precision {score.precision:.3f},"
        yield f"conflict {score.conflict:.3f}.\n"


def _outputs(outputs: Outputs, measured: Sequence[Measured]) -> Iterator[str]:
    yield "## Validity\n"
    rows = [
        _validity("messages", outputs.every),
        _validity("messages with an official map", outputs.official),
    ]
    findings = [text for one in outputs.every for text in one.findings]
    groups: dict[str, list[Output]] = defaultdict(list)
    for one in measured:
        if one.pair.to == "fhir" and not one.failure:
            found = invalid(read_json(one.pair.produced.read_bytes()))
            findings += found
            groups[one.pair.group].append(Output(one.pair.id, findings=found))
    rows += [_validity(name, part) for name, part in groups.items()]
    yield "Each output against the official R4 definitions: elements, types, cardinality, required"
    yield "bindings, references.\n"
    yield from table(("", "outputs", "valid", "not converted"), rows)
    if findings:
        yield "Found most often:\n"
        yield from table(
            ("count", "finding"),
            [(str(n), text) for text, n in frequent([_general(one) for one in findings])],
        )


def _validity(name: str, part: Sequence[Output]) -> tuple[str, ...]:
    made = [one for one in part if not one.failure]
    valid = sum(not one.findings for one in made)
    return name, str(len(made)), str(valid), str(len(part) - len(made))


def _ledger(outputs: Outputs) -> Iterator[str]:
    yield "## Ledger\n"
    yield "What became of each leaf of the messages that are converted. *Used*: a rule wrote"
    yield "something for which it was read; *tested*: a condition, or a rule that wrote nothing,"
    yield "looked at it; *syntax*: MSH-1 and MSH-2.\n"
    parts = [("messages", outputs.every), ("messages with an official map", outputs.official)]
    names = sorted({one.mapping for one in outputs.every if one.ledger is not None})
    parts += [(name, [one for one in outputs.every if one.mapping == name]) for name in names]
    rows = []
    for name, part in parts:
        counts = total_of(part)
        whole = counts.total()
        mapped = (whole - counts[Use.UNUSED]) / whole if whole else 0.0
        numbers = [str(counts[use]) for use in (Use.USED, Use.TESTED, Use.SYNTAX, Use.UNUSED)]
        messages = sum(one.ledger is not None for one in part)
        rows.append((name, str(messages), str(whole), *numbers, f"{mapped:.1%}"))
    heads = ("", "messages", "leaves", "used", "tested", "syntax", "unused", "mapped")
    yield from table(heads, rows)
    unused = unused_fields(outputs.official)
    if unused:
        yield "Unused most often, messages with an official map:\n"
        yield from table(
            ("leaves", "messages", "field"),
            [(str(n), str(m), place) for place, n, m in unused[:60]],
        )


def _failures(measured: Sequence[Measured], outputs: Outputs) -> Iterator[str]:
    yield "## What is not converted\n"
    found = [(f"{one.pair.group}: {one.pair.id}", one.failure) for one in measured if one.failure]
    found += [(one.name, one.failure) for one in outputs.every if one.failure]
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, reason in found:
        reasons[reason].append(name)
    if not reasons:
        yield "Nothing.\n"
    for reason, names in sorted(reasons.items(), key=lambda one: -len(one[1])):
        yield f"**{reason}** ({len(names)})\n"
        yield "<details><summary>files</summary>\n"
        yield from (f"- {name}" for name in names)
        yield "\n</details>\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _general(finding: str) -> str:
    """``entry[3].resource`` and ``entry[4].resource`` are one place."""
    return re.sub(r"\[\d+\]", "[*]", finding)
