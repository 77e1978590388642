"""HL7 v2 paths against the dictionary: fields and components that no version has, that only other
versions have, and repeating fields of which only the first is read.

What HL7 does not define (Z segments, fields that vary, the CM datatypes of old versions) is free.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from engine.formats.hl7v2.dictionary import (
    VERSIONS,
    WITHDRAWN,
    Element,
    Elements,
    components,
    segment_fields,
    shown_versions,
)
from engine.formats.hl7v2.structure_table import definition, structure_names
from engine.mapping.ast import (
    Every,
    Expr,
    GroupName,
    Index,
    Name,
    Number,
    Segment,
    Step,
    Variable,
    Where,
)
from engine.mapping.grammar import is_group_name
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler

_IDENTIFIERS: Final = frozenset({"CX", "EI", "EIP"})
_IDS_WITHIN: Final = frozenset({("XCN", 1), ("XON", 3), ("XON", 10)})
"""Components that are a person's or an organization's identifier."""
_FREE: Final = frozenset({"varies", "-", "var"})


def check_path(
    compiler: ExpressionCompiler, root: Expr, steps: tuple[Step, ...], *, as_value: bool
) -> None:
    """Diagnostics for one path, once for each place where it stands."""
    name, rest = _segment(compiler, root, steps)
    fields = segment_fields(name) if name else {}
    numbers = [step for step in rest if isinstance(step, Number)]
    if not fields or not numbers or any(isinstance(step, Name) for step in rest):
        return
    compiler.unit.of_messages = True
    if compiler.unit.checked(str(compiler.place(numbers[0]))):
        return
    field, *below = numbers
    place = f"{name}-{field.number}"
    found = _known(compiler, field, place, fields.get(field.number, ()), name, fields)
    if found and as_value and compiler.unit.target:  # not of a channel or a route
        _warn_of_repetitions(compiler, name, field, fields[field.number], rest)
    for step in below:
        if not found:
            return
        parts: dict[int, tuple[Element, ...]] = {}
        for sort in {element.type for element in found}:
            inner = components(sort)
            if sort in _FREE or (sort.startswith("CM") and not inner):
                return
            for number, several in inner.items():
                parts[number] = (*parts.get(number, ()), *several)
            if not inner and 1 not in parts:
                parts[1] = (Element(1, frozenset(VERSIONS), "ST", False, False, "", ""),)
        whole = f"{place} ({'/'.join(sorted({element.type for element in found}))})"
        place = f"{place}.{step.number}"
        found = _known(compiler, step, place, parts.get(step.number, ()), whole, parts)


def check_groups(compiler: ExpressionCompiler, root: Expr, steps: tuple[Step, ...]) -> None:
    """A warning for a group that the mapping's messages do not have."""
    named = [part for part in (root, *steps) if isinstance(part, GroupName | Name)]
    known = _groups(compiler.unit.messages)
    for part in named:
        if not is_group_name(part.name):
            continue
        compiler.unit.of_messages = True
        if part.name in known:
            continue
        if not compiler.unit.checked(f"group {compiler.place(part)}"):
            compiler.unit.diagnostics.add(
                "M729",
                compiler.place(part),
                f"{' and '.join(compiler.unit.messages) or 'HL7'} has no group {part.name}",
                length=part.end - part.start,
                help=did_you_mean(part.name, known),
            )


@lru_cache(maxsize=50)
def _groups(messages: tuple[str, ...]) -> frozenset[str]:
    """The groups of the messages; of all when one of them is not HL7's own."""
    found = [definition(name) for name in messages or structure_names()]
    if any(group is None for group in found):
        return _groups(())
    return frozenset().union(*(group.groups for group in found if group is not None))


def _segment(
    compiler: ExpressionCompiler, root: Expr, steps: tuple[Step, ...]
) -> tuple[str, tuple[Step, ...]]:
    """The segment whose field the path reads, and the steps behind it."""
    name, rest = "", steps
    if isinstance(root, Segment):
        name = root.name
    elif isinstance(root, Variable):
        binding = compiler.scope.find(root.name)
        name = "" if binding is None else binding.segment
    for number, step in enumerate(steps):
        if isinstance(step, Name):
            name, rest = (step.name if len(step.name) == 3 else ""), steps[number + 1 :]
    return name, rest


def _known(
    compiler: ExpressionCompiler,
    step: Number,
    place: str,
    entries: tuple[Element, ...],
    whole: str,
    among: Elements | dict[int, tuple[Element, ...]],
) -> tuple[Element, ...]:
    """The definitions that count; none after an error."""
    version = compiler.unit.version
    if not entries:
        last = max(among, default=0)
        what = "component" if "." in place else "field"
        most = f"{last} {what}{'s' if last != 1 else ''}"
        compiler.unit.diagnostics.add(
            "M720",
            compiler.place(step),
            f"{place} does not exist: {whole} has {most}"
            + (f" in {_latest(among[last])}" if last and "." not in place else ""),
            length=max(1, step.end - step.start),
        )
        return ()
    if version and not any(version in element.versions for element in entries):
        compiler.unit.diagnostics.add(
            "M721",
            compiler.place(step),
            f"{place} is not in {version}: it belongs to {shown_versions(entries)}",
            length=max(1, step.end - step.start),
            help="read the field that this version has, or leave version: out of from:",
        )
    return tuple(element for element in entries if element.type != WITHDRAWN)


def _latest(elements: tuple[Element, ...]) -> str:
    return max(
        (version for element in elements for version in element.versions), key=VERSIONS.index
    )


def _warn_of_repetitions(
    compiler: ExpressionCompiler,
    name: str,
    field: Number,
    entries: tuple[Element, ...],
    rest: tuple[Step, ...],
) -> None:
    behind = rest[rest.index(field) + 1 :]
    if behind and isinstance(behind[0], Every | Index | Where):
        return
    version = compiler.unit.version
    known = [one for one in entries if not version or version in one.versions]
    if not any(element.repeats for element in known):
        return
    component = behind[0].number if behind and isinstance(behind[0], Number) else 0
    ids = [
        element.repeats
        for element in known
        if element.type in _IDENTIFIERS or (element.type, component) in _IDS_WITHIN
    ]
    identifier = bool(ids) and all(ids)  # ORC-2 repeats in 2.3 alone: a note
    if not identifier and not compiler.unit.notes:
        return
    compiler.unit.diagnostics.add(
        "M723" if identifier else "M722",
        compiler.place(field),
        f"{name}-{field.number} may repeat, and this reads the first",
        length=max(1, field.end - field.start),
        help=f"choose one: {name}-{field.number}[1], [.5 == 'MR'], or all: [*]"
        if identifier
        else f"{name}-{field.number}[*] reads all, [1] says that the first is meant",
    )
