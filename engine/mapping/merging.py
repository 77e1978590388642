"""Objects that grow together: ``$merge`` of several parts into one.

Objects are merged key by key at any depth, lists are joined end to end, and of two single values
the first stays.  A single value beside a list is one more item of it.
"""

from __future__ import annotations

from typing import Any

from engine.mapping.failures import failed
from engine.mapping.runstate import Code, Run


def merging(parts: tuple[tuple[Code, str, bool], ...]) -> Code:
    """The object of all parts that are there, or None.  Each part is a closure, its place, and
    whether what it gives is new in every call; what may stand elsewhere too is never added to.
    """

    def merging(run: Run) -> Any:
        out: Any = None
        own = False
        for code, where, new in parts:
            part = code(run)
            if part is not None:
                if part.__class__ is not dict:
                    out = _all(out, part, where)
                    own = True
                elif out is None:
                    out = part
                    own = new
                else:
                    if not own:
                        out = out.copy()
                        own = True
                    join(out, part)
        return out

    return merging


def _all(out: Any, parts: Any, where: str) -> Any:
    """A new object of ``out`` and each of a loop's parts."""
    whole = {} if out is None else out.copy()
    for part in parts if parts.__class__ is list else (parts,):
        if part.__class__ is not dict:
            raise failed("R306", where, "a part of $merge is an object")
        join(whole, part)
    return whole


def join(out: dict[Any, Any], part: dict[Any, Any]) -> None:
    """Add to ``out`` what ``part`` has.  What is inside either is replaced, never changed."""
    if len(out) < len(part):
        both = [(key, have) for key, have in out.items() if key in part and have is not None]
        out.update(part)
        for key, have in both:
            out[key] = _joined(have, part[key])
        return
    for key, value in part.items():
        have = out.get(key)
        out[key] = value if have is None else _joined(have, value)


def _joined(have: Any, value: Any) -> Any:
    ours, theirs = have.__class__, value.__class__
    if ours is list:
        return have + value if theirs is list else [*have, value]
    if theirs is list:
        return [have, *value]
    if ours is dict and theirs is dict:
        inner = have.copy()
        join(inner, value)
        return inner
    return have
