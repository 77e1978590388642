"""How an output object comes into being: the literals of the file, and what is computed."""

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
    made = _object(template, dict(computed), NULL if drops_null else None)
    if len(merged) == 1:
        return _merging_one(made, *merged[0])
    return _merging(made, merged) if merged else made


def list_of_one(item: Code) -> Code:
    """A list that holds one object, or nothing."""

    def list_of_one(run: Run) -> Any:
        value = item(run)
        return None if value is None else [value]

    return list_of_one


def single_item(item: Code, unwanted: Any) -> Code:
    """A list that holds one value, or those of a list; ``unwanted`` (NULL or None) is left out."""

    def single(run: Run) -> Any:
        value = item(run)
        if value.__class__ is list:
            return value
        return None if value is None or value is unwanted else [value]

    return single


def list_of_items(items: tuple[tuple[Code, bool], ...], unwanted: Any) -> Code:
    """A list of several; an item that gives a list is taken apart where it says so."""

    def sequence(run: Run) -> Any:
        found: list[Any] = []
        for code, splices in items:
            value = code(run)
            if value is not None and value is not unwanted:
                if splices and value.__class__ is list:
                    found += value
                else:
                    found.append(value)
        return found or None

    return sequence


def _object(template: dict[Any, Any], computed: dict[Any, Code], unwanted: Any) -> Code:
    literals: dict[Any, Any] = {}  # those before the first computed key
    for key, value in template.items():
        if value is None:
            break
        literals[key] = value
    always = any(value is not None for value in template.values())
    rest = tuple((key, computed.get(key), template[key]) for key in template if key not in literals)
    if not always and len(rest) == 1:
        ((only, code, _),) = rest
        assert code is not None  # noqa: S101 - it is no literal
        return _single(only, code, unwanted)

    def made(run: Run) -> Any:
        out = literals.copy()
        for key, code, literal in rest:
            if code is None:
                out[key] = literal
            else:
                value = code(run)
                if value is not None and value is not unwanted:
                    out[key] = value
        if always:
            return out
        return out or None

    return made


def _single(key: Any, code: Code, unwanted: Any) -> Code:
    def single(run: Run) -> Any:
        value = code(run)
        return None if value is None or value is unwanted else {key: value}

    return single


def _merging_one(made: Code, code: Code, where: str) -> Code:
    """With the object that $case, $use or $first gives; what is written beside it wins."""

    def merging_one(run: Run) -> Any:
        given = code(run)  # first: $raise is there to stop the rest
        out = made(run)
        return out if given is None else _merge(out or {}, given, where)

    return merging_one


def _merging(made: Code, merged: tuple[tuple[Code, str], ...]) -> Code:
    """The same for several of them."""
    codes = tuple(code for code, _ in merged)
    places = tuple(enumerate(where for _, where in merged))

    def merging(run: Run) -> Any:
        given: list[Any] = []
        for code in codes:
            value = code(run)
            given.append(value)
        out = made(run)
        for number, where in places:
            if given[number] is not None:
                out = _merge(out or {}, given[number], where)
        return out

    return merging


def _merge(out: dict[Any, Any], given: Any, where: str) -> dict[Any, Any] | None:
    if given.__class__ is not dict:
        raise failed("R306", where, "an object is wanted beside other keys")
    for key in given:
        out.setdefault(key, given[key])
    return out or None
