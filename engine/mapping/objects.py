"""How an output object comes into being: the literals of the file, and what is computed.

Most of a mapping's time is spent here, so the usual shapes have a closure of their own: one, two
or three computed keys, literals first.
"""

from __future__ import annotations

from typing import Any

from engine.formats.null import NULL
from engine.mapping.failures import failed
from engine.mapping.runstate import Code, Run


def object_code(
    template: dict[Any, Any],
    computed: tuple[tuple[Any, Code], ...],
    merged: tuple[tuple[Code, str], ...],
    drops_null: bool,
) -> Code:
    """The object, or None when it holds nothing.

    ``template`` has every key in the order of the file: the literals, and None where a key is
    computed.  What ``merged`` gives is added below what is written beside it.
    """
    if not computed and not merged:
        return lambda run: template.copy() or None
    literals = {key: value for key, value in template.items() if value is not None}
    unwanted = NULL if drops_null else None
    if list(template)[: len(literals)] != list(literals):
        made = _in_file_order(template, computed, unwanted)
    elif len(computed) == 1:
        made = _one(literals, computed, unwanted)
    elif len(computed) == 2:
        made = _two(literals, computed, unwanted)
    elif len(computed) == 3:
        made = _three(literals, computed, unwanted)
    else:
        made = _many(literals, computed, unwanted)
    return _merging(made, merged) if merged else made


def list_of_one(item: Code) -> Code:
    """A list that holds one object, or nothing."""

    def list_of_one(run: Run) -> Any:
        value = item(run)
        return None if value is None else [value]

    return list_of_one


def _one(literals: dict[Any, Any], computed: tuple[tuple[Any, Code], ...], unwanted: Any) -> Code:
    ((key, code),) = computed
    if not literals:

        def single(run: Run) -> Any:
            value = code(run)
            return None if value is None or value is unwanted else {key: value}

        return single

    def one(run: Run) -> Any:
        out = literals.copy()
        value = code(run)
        if value is not None and value is not unwanted:
            out[key] = value
        return out

    return one


def _two(literals: dict[Any, Any], computed: tuple[tuple[Any, Code], ...], unwanted: Any) -> Code:
    (key_1, code_1), (key_2, code_2) = computed

    def two(run: Run) -> Any:
        out = literals.copy()
        value = code_1(run)
        if value is not None and value is not unwanted:
            out[key_1] = value
        value = code_2(run)
        if value is not None and value is not unwanted:
            out[key_2] = value
        return out or None

    return two


def _three(literals: dict[Any, Any], computed: tuple[tuple[Any, Code], ...], unwanted: Any) -> Code:
    (key_1, code_1), (key_2, code_2), (key_3, code_3) = computed

    def three(run: Run) -> Any:
        out = literals.copy()
        value = code_1(run)
        if value is not None and value is not unwanted:
            out[key_1] = value
        value = code_2(run)
        if value is not None and value is not unwanted:
            out[key_2] = value
        value = code_3(run)
        if value is not None and value is not unwanted:
            out[key_3] = value
        return out or None

    return three


def _many(literals: dict[Any, Any], computed: tuple[tuple[Any, Code], ...], unwanted: Any) -> Code:
    def many(run: Run) -> Any:
        out = literals.copy()
        for key, code in computed:
            value = code(run)
            if value is not None and value is not unwanted:
                out[key] = value
        return out or None

    return many


def _in_file_order(
    template: dict[Any, Any], computed: tuple[tuple[Any, Code], ...], unwanted: Any
) -> Code:
    """For a literal after a computed key: all keys are there first, the missing ones go."""

    def in_file_order(run: Run) -> Any:
        out = template.copy()
        for key, code in computed:
            value = code(run)
            if value is None or value is unwanted:
                del out[key]
            else:
                out[key] = value
        return out or None

    return in_file_order


def _merging(made: Code, merged: tuple[tuple[Code, str], ...]) -> Code:
    """With the objects that $case, $use and $first give; what is written beside them wins."""

    def merging(run: Run) -> Any:
        given = [code(run) for code, _ in merged]  # first: $raise is there to stop the rest
        out = made(run) or {}
        for value, (_, where) in zip(given, merged, strict=True):
            if value.__class__ is dict:
                for key in value:
                    out.setdefault(key, value[key])
            elif value is not None:
                raise failed("R306", where, "an object is wanted beside other keys")
        return out or None

    return merging
