"""Walking a list: one turn for each item, the group's segments and remembered paths anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Dictionary
from typing import Any, Final

from engine.mapping.placed import filling
from engine.mapping.runstate import NOTHING, STEPS, UNREAD, Code, Run, too_many_steps

FOR_HEADER: Final = re.compile(r"\s*=?\s*\$?([^\W\d]\w*)\s+in(?!\w)")
"""``x in`` of a ``$for``: the variable; what it walks stands behind."""


def _enter(run: Run, item: Any, hoisted: tuple[tuple[str, int], ...]) -> None:
    """Hoist the segments of a group."""
    for name, cell in hoisted:
        segment = item.first(name)
        run[cell] = NOTHING if segment is None else segment.fields


def loop_code(
    source: Code,
    body: Code,
    cell: int,
    index: int,
    fields: int | None,
    hoisted: tuple[tuple[str, int], ...],
    unread: tuple[int, ...],
    where: str,
) -> Code:
    def looping(run: Run) -> Any:
        items = source(run)
        if items is None:
            return None
        if items.__class__ is not list:
            items = [items]
        run[STEPS] -= len(items)
        if run[STEPS] < 0:
            raise too_many_steps(where)
        results: list[Any] = []
        number = 0
        for item in items:
            number += 1
            run[cell] = item
            run[index] = number
            if fields is not None:
                run[fields] = item.fields
            if hoisted:
                _enter(run, item, hoisted)
            for memo in unread:
                run[memo] = UNREAD
            value = body(run)
            if value is None:
                continue
            if value.__class__ is list:
                results += value
            else:
                results.append(value)
        return results or None

    return looping


def tracing_loop_code(
    source: Code,
    body: Code,
    cell: int,
    index: int,
    fields: int | None,
    hoisted: tuple[tuple[str, int], ...],
    origins: Dictionary[int, int],
    label: str,
) -> Code:
    """The same for one item at a time, telling the variable where its value came from."""
    current = origins[cell]
    items_of: Callable[[Run], Any] = filling(cell, source)

    def tracing(run: Run) -> Any:
        items = items_of(run)
        if items is None:
            return None
        results: list[Any] = []
        for number, item in enumerate(items if items.__class__ is list else [items], start=1):
            run[STEPS] -= 1
            if run[STEPS] < 0:
                raise too_many_steps(label)
            run[cell], run[index] = item, number
            if fields is not None:
                run[fields] = item.fields
            run[current] = (
                label.replace("[*]", f"[{number}]") if "[*]" in label else f"{label}[{number}]"
            )
            if hoisted:
                _enter(run, item, hoisted)
            value = body(run)
            if value is not None:
                results += value if value.__class__ is list else [value]
        return results or None

    return tracing
