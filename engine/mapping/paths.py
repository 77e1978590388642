"""Paths to closures: the shortest way to what a path names.

A path from the fields of one segment reads them from a cell that is filled once a message, group
or turn; a path that stands several times in a file is read once; every other goes node by node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.formats.xml import XML_FORMATS
from engine.mapping import paths_hl7v2 as hl7
from engine.mapping.ast import (
    SEGMENTED,
    Every,
    Expr,
    GroupName,
    Index,
    Item,
    Name,
    Number,
    Path,
    Resources,
    Segment,
    Step,
    Top,
    Variable,
    Where,
)
from engine.mapping.closures import NOTHING_AT_ALL, Compiled
from engine.mapping.failures import failed
from engine.mapping.hl7_paths import check_groups, check_path
from engine.mapping.message_groups import every_group, first_group
from engine.mapping.paths_tree import names_from, row_cell
from engine.mapping.paths_xml import compile_xml_path
from engine.mapping.runstate import UNREAD, Code, Run
from engine.mapping.scope import Scope
from engine.mapping.selection import Advance, Selector, every_step, node_code, step_from, value_code
from engine.mapping.values import NotText, leaf

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


def compile_path(compiler: ExpressionCompiler, node: Expr, *, as_value: bool) -> Compiled:
    root: Expr = node.root if isinstance(node, Path) else node
    steps: tuple[Step, ...] = node.steps if isinstance(node, Path) else ()
    if isinstance(root, Segment | GroupName) and compiler.scope.within_map:
        return compiler.refuse(
            "M308",
            root,
            "a map sees only its arguments",
            f"give {root.name} to the map as an argument",
        )
    if isinstance(root, Top) and compiler.scope.within_map:
        return compiler.refuse(
            "M308", root, "a map sees only its arguments", "give it the element as an argument"
        )
    if isinstance(root, Variable):
        _note_reading(compiler, root, steps)
    if compiler.unit.format in XML_FORMATS:
        return compile_xml_path(compiler, node, as_value=as_value)
    if compiler.unit.format not in SEGMENTED:
        for step in steps:
            if isinstance(step, Number):
                return compiler.refuse(
                    "M104", step, "numbered parts are HL7's", f"write [{step.number}]"
                )
    if compiler.unit.format == "hl7v2" and not compiler.unit.trace:
        check_groups(compiler, root, steps)
        check_path(compiler, root, steps, as_value=as_value)
    steps = _without_first(compiler, root, steps)
    fast = _remembered(compiler, node, root, as_value)
    if fast is not None:
        return fast
    fast = _fast_path(compiler, root, steps, as_value)
    if fast is None:
        fast = _general_path(compiler, root, steps, as_value)
    return compiler.traced(fast, node) if as_value else fast


def _without_first(
    compiler: ExpressionCompiler, root: Expr, steps: tuple[Step, ...]
) -> tuple[Step, ...]:
    """``PID-3[1].1`` is ``PID-3.1``, which has a way of its own: a path gives its first match."""
    match steps:
        case (Number() as field, Index(1), *below) if (
            compiler.unit.format == "hl7v2"
            and not compiler.unit.trace
            and all(isinstance(step, Number) for step in below)
            and isinstance(root, Segment)
        ):
            return (field, *below)
    return steps


def _note_reading(compiler: ExpressionCompiler, root: Variable, steps: tuple[Step, ...]) -> None:
    """What a map reads of its argument tells its calls apart (`engine.mapping.remembering`)."""
    binding = compiler.scope.find(root.name)
    if binding is None:
        return
    if steps and isinstance(steps[0], Number):
        binding.reads.add(steps[0].number)
    else:
        binding.whole = True


def _remembered(
    compiler: ExpressionCompiler, node: Expr, root: Expr, as_value: bool
) -> Compiled | None:
    """A path that stands several times in the file is read once a run, or once a turn of the
    loop it belongs to."""
    text = compiler.source(node)
    if not as_value or compiler.unit.trace or compiler.unit.readings.get(text, 0) < 2:
        return None
    owner: Scope | None = None
    if isinstance(root, Segment):
        owner = compiler.scope.home()
    elif isinstance(root, Variable):
        owner = compiler.scope.owner(root.name)
    if owner is None or not (owner.loops or owner.parent is None) or owner.sealed:
        return None
    if text not in owner.memos:
        steps = node.steps if isinstance(node, Path) else ()
        steps = _without_first(compiler, root, steps)
        made = _fast_path(compiler, root, steps, as_value)
        if made is None or not steps:
            return None
        owner.memos[text] = (compiler.unit.layout.cell(UNREAD), made.code)
    elif isinstance(root, Variable):
        compiler.binding(root)
    cell, read = owner.memos[text]

    def remembered(run: Run) -> Any:
        value = run[cell]
        if value is UNREAD:
            value = read(run)
            run[cell] = value
        return value

    return Compiled(remembered)


def _fast_path(
    compiler: ExpressionCompiler, root: Expr, steps: tuple[Step, ...], as_value: bool
) -> Compiled | None:
    numbers = tuple(step.number for step in steps if isinstance(step, Number))
    plain = len(numbers) == len(steps)
    if isinstance(root, Segment) and not steps:
        return Compiled(hl7.first_segment(root.name, compiler.scope.home().group))
    if isinstance(root, GroupName):
        return _group_path(compiler, root, steps, as_value)
    found = _field_path(compiler, root, steps, numbers, as_value)
    if found is not None:
        return found
    if isinstance(root, Segment):
        if not as_value and len(steps) == 1 and isinstance(steps[0], Every):
            every = hl7.every_segment(root.name, compiler.scope.home().group)
            return Compiled(lambda run: every(run) or None)
        return None
    cell_of_root = _root_cell(compiler, root)
    if cell_of_root is None:
        return None
    if not as_value:
        return _variable_path(compiler, cell_of_root, steps)
    if plain and 1 <= len(numbers) <= 2 and compiler.unit.format in SEGMENTED:

        def slow(run: Run, node: Any) -> Any:
            for number in numbers:
                if node is not None:
                    node = hl7.first_of(run, node, number)
            return None if node is None else leaf(run, node)

        if len(numbers) == 1:
            return Compiled(hl7.variable_text(cell_of_root, numbers[0], slow))
        number, part = numbers
        return Compiled(hl7.variable_part_text(cell_of_root, number, part, slow))
    if (
        steps
        and all(isinstance(step, Name) for step in steps)
        and compiler.unit.format not in SEGMENTED
    ):
        names = tuple(step.name for step in steps if isinstance(step, Name))
        return Compiled(names_from(cell_of_root, names, compiler.unit.format == "fhir"))
    return None


def _variable_path(
    compiler: ExpressionCompiler, cell: int, steps: tuple[Step, ...]
) -> Compiled | None:
    """``$x.5``, ``$x.5[*]`` and ``$x.OBX[*]`` as nodes."""
    if compiler.unit.format not in SEGMENTED:
        return None
    match steps:
        case (Number(number),):
            return Compiled(hl7.variable_node(cell, number))
        case (Number(number), Every()):

            def repetitions(run: Run, node: Any) -> Any:
                return every_step(run, node, number)

            return Compiled(hl7.variable_every(cell, number, repetitions))
        case (Number(number), Index(index)) if number > 2:

            def nth(run: Run, node: Any) -> Any:
                found = step_from(run, node, number, False)
                found = found[-1:] if index == -1 else found[index - 1 : index]
                return found[0] if found else None

            return Compiled(hl7.variable_nth(cell, number, index, nth))
        case (Name(name),) if len(name) == 3:

            def first(run: Run, node: Any) -> Any:
                found = step_from(run, node, name, False)
                return found[0] if found else None

            return Compiled(hl7.variable_first_segment(cell, name, first))
        case (Name(name), Every()):

            def parts(run: Run, node: Any) -> Any:
                return every_step(run, node, name)

            return Compiled(hl7.variable_named(cell, name, parts))
    return None


def _group_path(
    compiler: ExpressionCompiler, root: GroupName, steps: tuple[Step, ...], as_value: bool
) -> Compiled | None:
    """``PATIENT`` and ``ORDER_OBSERVATION[*]`` themselves."""
    if not steps:
        return Compiled(first_group(root.name, compiler.scope, compiler.unit))
    if not as_value and len(steps) == 1 and isinstance(steps[0], Every):
        every = every_group(root.name, compiler.scope, compiler.unit)
        return Compiled(lambda run: every(run) or None)
    return None


def _field_path(
    compiler: ExpressionCompiler,
    root: Expr,
    steps: tuple[Step, ...],
    numbers: tuple[int, ...],
    as_value: bool,
) -> Compiled | None:
    """A path from the fields of one segment: the message's, the group's or the loop's."""
    if not numbers or not isinstance(steps[0], Number):
        return None
    every = len(steps) == 2 and isinstance(steps[1], Every)
    if not every and (len(numbers) != len(steps) or len(numbers) > 3):
        return None
    cell: int | None = None
    if isinstance(root, Segment):
        header = root.name in hl7.HEADERS and numbers[0] < 3
        if header and not (as_value and not every):
            return None
        cell = compiler.scope.segment_cell(root.name, compiler.unit.layout)
        if header:
            return Compiled(hl7.raw_field(cell, numbers[0]))
    elif isinstance(root, Variable):
        binding = compiler.scope.find(root.name)
        if binding is None or not binding.holds_segment:
            return None
        binding.used = True
        if binding.fields is None:
            binding.fields = compiler.unit.layout.cell()
        cell = binding.fields
    if cell is None:
        return None
    if as_value and not every:
        make = (hl7.field_text, hl7.component_text, hl7.subcomponent_text)[len(numbers) - 1]
        return Compiled(make(cell, *numbers))
    if every:
        return None if as_value else Compiled(hl7.every_repetition(cell, numbers[0]))
    if len(numbers) == 1:
        return Compiled(hl7.first_repetition(cell, numbers[0]))
    return None


def _root_cell(compiler: ExpressionCompiler, root: Expr) -> int | None:
    if isinstance(root, Variable):
        binding = compiler.binding(root)
        return None if binding is None else binding.cell
    return compiler.scope.item if isinstance(root, Item) else None


def _general_path(
    compiler: ExpressionCompiler, root: Expr, steps: tuple[Step, ...], as_value: bool
) -> Compiled:
    cell_of_row = compiler.unit.format == "delimited" and isinstance(root, Variable | Item)
    number = steps[0].index if cell_of_row and steps and isinstance(steps[0], Index) else 0
    steps = steps[1:] if number else steps
    selectors: list[Selector] = []
    advances: list[Advance] = []
    step: int | str | None = None
    for part in (*steps, None):
        match part:
            case Index(index):
                selectors.append(Selector(index=index))
            case Every():
                selectors.append(Selector())
            case Where(test):
                selectors.append(_where(compiler, test))
            case _:
                if advances or selectors or step is not None:
                    advances.append(Advance(step, tuple(selectors)))
                elif not isinstance(root, Segment | GroupName):  # a list: its first item
                    advances.append(Advance(None, ()))
                selectors = []
                if isinstance(part, Name):
                    step = part.name
                elif isinstance(part, Number):
                    step = part.number
    start = _root_code(compiler, root, advances)
    if number:
        start = row_cell(start, number)
    make = value_code if as_value else node_code
    code = make(start, tuple(advances), compiler.unit.format == "fhir")
    if not as_value:
        return Compiled(code)
    where = str(compiler.place(root))

    def checked(run: Run) -> Any:
        try:
            return code(run)
        except NotText as error:
            raise failed("R304", where, str(error)) from None

    return Compiled(checked)


def _where(compiler: ExpressionCompiler, test: Expr) -> Selector:
    scope = Scope(compiler.scope)
    scope.item = compiler.unit.layout.cell()
    inner = compiler.sibling(scope, compiler.scalar)
    return Selector(test=inner.test(test).code, cell=scope.item)


def _root_code(compiler: ExpressionCompiler, root: Expr, advances: list[Advance]) -> Code:
    match root:
        case Segment(name):
            group = compiler.scope.home().group
            if advances and advances[0].step is None:
                return hl7.every_segment(name, group)
            return hl7.first_segment(name, group)
        case GroupName(name):
            if advances and advances[0].step is None:
                return every_group(name, compiler.scope, compiler.unit)
            return first_group(name, compiler.scope, compiler.unit)
        case Resources(name):
            if compiler.unit.resources_cell is None:
                compiler.unit.resources_cell = compiler.unit.layout.cell()
            cell = compiler.unit.resources_cell
            return lambda run: run[cell].get(name)
        case Item():
            item = compiler.scope.item
            assert item is not None  # noqa: S101 - the grammar allows '.' in […] only
            return lambda run: run[item]
        case Variable():
            binding = compiler.binding(root)
            if binding is None:
                return NOTHING_AT_ALL.code
            variable = binding.cell
            return lambda run: run[variable]
        case _:
            return compiler.node(root).code
