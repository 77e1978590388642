"""`$copy`: a part of an HL7 v2 message as it came, for mappings from HL7 v2 to HL7 v2.

Text is not decoded on its way, so escapes and formatting stay what they are.  With a version in
``to:``, what HL7 defines in other versions and not in this one is left out: segments, fields,
components, sub-components.  What HL7 does not know at all (Z segments, local fields) stays.  With
``types:`` there, fields of a datatype are what a map makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from engine.formats.hl7v2 import Segment
from engine.formats.hl7v2.segment import HEADERS
from engine.formats.hl7v2.separators import Separators
from engine.formats.hl7v2.versions import KEPT, NONE_LOST, Losses, losses, types_of
from engine.formats.hl7v2.writing import USUAL, Written
from engine.mapping.closures import Compiled, constant
from engine.mapping.elements import Component, Repetition
from engine.mapping.failures import failed
from engine.mapping.merging import join
from engine.mapping.placed import Placed
from engine.mapping.runstate import ACCOUNT, COMPONENT, DOCUMENT, REPETITION, Run
from engine.mapping.scope import MapCode, Scope
from engine.mapping.tracing import Rule, Traced, joined
from engine.syntax import Mapping, Scalar

if TYPE_CHECKING:
    from engine.mapping.outputs import OutputCompiler

_LEVELS: Final = ("repetition", "component", "subcomponent")


def compile_copy(
    outputs: OutputCompiler, key: Scalar, node: Mapping, scope: Scope, path: str, inside: bool
) -> Compiled:
    """A field, component or sub-component that is written beside ``$copy`` is not copied."""
    value = node.get(key.text)
    if not isinstance(value, Scalar) or {outputs.target, outputs.unit.format} != {"hl7v2"}:
        outputs.unit.diagnostics.at(
            "M501",
            key,
            "'$copy' is an expression, and copies from HL7 v2 to HL7 v2",
            help="$copy: = $segment",
        )
        return constant(None)
    beside = tuple(entry for entry in node.entries if entry[0] is not key)
    written = [name.text for name, _ in beside if not name.text.startswith("$")]
    own = frozenset(int(name) for name in written if name.isdecimal())
    rule = Rule(joined(path, key.text), key.position)
    outputs.rules.append(rule)
    copier = _Copier(outputs, own, rule if outputs.unit.trace else None)
    given, where = outputs.node_value(value, scope).code, str(value.position)
    copies = copier.content if inside else copier.segment

    def copying(run: Run) -> Any:
        return _copied(run, given(run), copies, where)

    if not any(not name.text.startswith("$") or name.text in _WITH for name, _ in beside):
        return Compiled(copying)
    rest = outputs.content(Mapping(beside, node.position), scope, path, inside).code

    def copying_beside(run: Run) -> Any:
        out = _copied(run, given(run), copies, where)
        more = rest(run)
        if out is None or more is None:
            return out or more
        return _over(out, more) if inside else _beside(out, more)

    return Compiled(copying_beside)


_WITH: Final = frozenset({"$case", "$use", "$first", "$merge", "$raise"})


def _copied(run: Run, node: Any, copies: Callable[[Run, Any], Any], where: str) -> Any:
    if node.__class__ is list:
        node = node[0] if node else None
    if node is None:
        return None
    if node.__class__ not in (Segment, Repetition, Component):
        raise failed("R306", where, "$copy takes a segment, a repetition or a component")
    return copies(run, node)


def _over(out: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    """Within a segment, what a directive beside ``$copy`` gives wins as well."""
    out.update(more)
    return out


def _beside(out: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    """Segments beside ``$copy`` follow the one that is copied."""
    join(out, more)
    return out


class _Copier:
    """``own`` are the numbers that the mapping writes itself; ``rule`` is there when explaining."""

    def __init__(self, outputs: OutputCompiler, own: frozenset[int], rule: Rule | None) -> None:
        self.own, self.rule = own, rule
        self.version, self.types = outputs.version, outputs.types
        self.origins = outputs.unit.origins

    def segment(self, run: Run, node: Any) -> dict[Any, Any] | None:
        """Where segments stand: the segment under its own name, unless the version lacks it."""
        if node.__class__ is not Segment:
            return None
        fields = self.content(run, node)
        return None if fields is None else {node.name: fields}

    def content(self, run: Run, node: Any) -> dict[Any, Any] | None:
        """The parts of the node by number."""
        if node.__class__ is Segment:
            return self.fields(run, node)
        separators = run[DOCUMENT].separators
        level = 1 if node.__class__ is Repetition else 2
        found: dict[Any, Any] = {}
        for number, text in enumerate(node, start=1):
            if text and number not in self.own:
                found[number] = self.part(text, level, separators, str(number))
        return found or None

    def fields(self, run: Run, node: Segment) -> dict[Any, Any] | None:
        lost = losses(node.name, self.version)
        if lost is None:
            return None
        separators = node.separators
        first = 3 if node.name in HEADERS else 1
        found: dict[Any, Any] = {}
        for number, text in enumerate(node.fields[first:], start=first):
            if not text or number in self.own:
                continue
            less = lost.get(number, KEPT)
            if less is None:
                continue
            label = f"{node.name}-{number}"
            if self.types:
                mapped = self.mapped_type(node.name, number)
                if mapped is not None:
                    found[number] = self.converted(run, text, mapped, less, label)
                    continue
            if less:
                text = _without(text, less, separators)
            if text:
                found[number] = self.part(text, 0, separators, label)
        return found or None

    def mapped_type(self, segment: str, number: int) -> MapCode | None:
        """The map for the field's datatype, if ``to:`` names one."""
        for type in types_of(segment, number, self.version):
            if type in self.types:
                return self.types[type]
        return None

    def converted(self, run: Run, text: str, map: MapCode, less: Losses, label: str) -> list[Any]:
        """What the map gives for each repetition, without what the version lacks."""
        assert map.body is not None  # noqa: S101 - compiled long ago
        cell = map.cells[0]
        results: list[Any] = []
        for number, part in enumerate(text.split(run[REPETITION]), start=1):
            if not part:
                results.append(None)
                continue
            run[cell] = Repetition(part.split(run[COMPONENT]))
            if self.rule is not None:
                run[self.origins[cell]] = f"{label}[{number}]"
                if run[ACCOUNT] is not None:
                    run[ACCOUNT].behind[cell] = []
            given = map.body(run)
            if given.__class__ is dict:
                given = {
                    at: one for at, one in given.items() if less.get(at, NONE_LOST) is not None
                }
            results.append(given)
        return results

    def part(self, text: str, level: int, separators: Separators, label: str) -> Any:
        """The text as it is written, or a leaf for each place when explaining."""
        if self.rule is None:
            return _rewritten(text, separators)
        return self.traced(text, level, separators, label)

    def traced(self, text: str, level: int, separators: Separators, label: str) -> Any:
        if level < len(_LEVELS):
            mark = getattr(separators, _LEVELS[level])
            if mark in text or level == 0:
                parts = text.split(mark)
                if level == 0:
                    return [
                        self.traced(part, 1, separators, f"{label}[{n}]" if parts[1:] else label)
                        if part and not part.isspace()
                        else None
                        for n, part in enumerate(parts, start=1)
                    ]
                return {
                    n: self.traced(part, level + 1, separators, f"{label}.{n}")
                    for n, part in enumerate(parts, start=1)
                    if part and not part.isspace()
                }
            return self.traced(text, level + 1, separators, label)
        assert self.rule is not None  # noqa: S101
        places = [text.place] if isinstance(text, Placed) else []
        plain = str(text)
        source = [(label, separators.unescape(plain))]
        return Traced(_rewritten(plain, separators), self.rule, source, (), places)


def _without(text: str, less: Losses, separators: Separators) -> str:
    """A field without the components that the version lacks; its text's places stay known."""
    if separators.component not in text and separators.subcomponent not in text:
        return text
    if isinstance(text, Placed):
        return _blanked(text, less, separators)
    return separators.repetition.join(
        separators.component.join(_components(repetition, less, separators)).rstrip(
            separators.component
        )
        for repetition in text.split(separators.repetition)
    )


def _components(repetition: str, less: Losses, separators: Separators) -> Iterator[str]:
    for number, part in enumerate(repetition.split(separators.component), start=1):
        gone = less.get(number, NONE_LOST)
        if gone is None:
            yield ""
        elif not gone or separators.subcomponent not in part:
            yield part
        else:
            subs = part.split(separators.subcomponent)
            kept = ["" if n in gone else one for n, one in enumerate(subs, start=1)]
            yield separators.subcomponent.join(kept).rstrip(separators.subcomponent)


def _blanked(text: Placed, less: Losses, separators: Separators) -> str:
    """The same where places count: spaces of equal length stand for what is left out."""
    out: list[str] = []
    for repetition in str(text).split(separators.repetition):
        parts = []
        for number, part in enumerate(repetition.split(separators.component), start=1):
            gone = less.get(number, NONE_LOST)
            if gone is None:
                part = " " * len(part)
            elif gone:
                subs = part.split(separators.subcomponent)
                part = separators.subcomponent.join(
                    " " * len(one) if n in gone else one for n, one in enumerate(subs, start=1)
                )
            parts.append(part)
        out.append(separators.component.join(parts))
    return Placed.of(separators.repetition.join(out), text.field, text.start, text.length)


def _rewritten(text: str, separators: Separators) -> Written:
    """Text of a field, escapes and all, with the separators that are written."""
    plain = str(text)
    escaped = separators.escape_character in plain
    if separators.usual and (separators.codec == "utf-8" or not escaped):
        return Written(plain.replace("\\P\\", "#") if separators.truncation else plain)
    levels = (
        (separators.repetition, USUAL.repetition),
        (separators.component, USUAL.component),
        (separators.subcomponent, USUAL.subcomponent),
    )
    return Written(_respelled(plain, separators, levels))


def _respelled(text: str, own: Separators, levels: tuple[tuple[str, str], ...]) -> str:
    if not levels:
        return USUAL.escape(own.unescape(text))
    (mine, usual), *inner = levels
    return usual.join(_respelled(part, own, tuple(inner)) for part in text.split(mine))
