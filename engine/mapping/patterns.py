"""Regular expressions that cannot run away.

Python's matcher tries every way to split a text among repeated parts, so ``(a+)+`` takes longer
than anyone waits.  Such patterns are refused when the mapping is compiled, and the length of the
text that a pattern may meet shrinks with the number of its open repetitions.
"""

from __future__ import annotations

import re
from typing import Final

MAX_PATTERN: Final = 500
_WORK: Final = 100_000_000  # steps a match may take at worst
_DOCUMENT: Final = 64 * 1024 * 1024
_ALONE: Final = re.compile(r"(?:\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDsSwW]|\.)[+*]", re.DOTALL)
"""One kind of character, repeated: each character is looked at once, a document's too."""
_REPEAT: Final = re.compile(r"\{(\d*)(,?)(\d*)\}")


class PatternRefused(ValueError):
    """The pattern is not one, or could run away."""


class Pattern:
    """A checked regular expression with the longest text it may meet."""

    __slots__ = ("compiled", "longest")

    def __init__(self, text: str) -> None:
        """Raises PatternRefused."""
        if len(text) > MAX_PATTERN:
            raise PatternRefused(f"a pattern has at most {MAX_PATTERN} characters")
        alone = _ALONE.fullmatch(text) is not None
        repeated, choices = (0, 1) if alone else _freedom(text)
        try:
            self.compiled = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternRefused(f"not a pattern: {getattr(error, 'msg', error)}") from error
        work = _WORK / choices
        most = _DOCUMENT if alone else 1_000_000
        self.longest = int(work ** (1 / (repeated + 1))) if repeated else min(int(work), most)


def _freedom(text: str) -> tuple[int, int]:
    """How many parts may match a varying number of characters, and how many ways ``?`` and ``|``
    leave.

    Raises PatternRefused for a repeated group that itself varies, and for back-references.
    """
    total = 0
    choices = 1
    varies = [False]  # for each open group: whether it holds a repetition or an alternative
    last = False  # whether what a quantifier would repeat varies
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            if text[at + 1 : at + 2].isdigit() and text[at + 1] != "0":
                raise PatternRefused("back-references are not allowed")
            at, last = at + 2, False
            continue
        if char == "[":
            at, last = _class_end(text, at), False
            continue
        if char == "(":
            if text.startswith(("(?P=", "(?("), at):
                raise PatternRefused("back-references are not allowed")
            varies.append(False)
            at += 1
            if text.startswith("?", at):
                named = re.compile(r"\?(?:P?<\w+>|[a-zA-Z-]*:|<?[=!]|[a-zA-Z-]*\)|#[^)]*)").match(
                    text, at
                )
                if named is not None:
                    at = named.end()
                    if named.group().endswith(")"):
                        varies.pop()
            continue
        if char == ")":
            last = varies.pop() if len(varies) > 1 else False
            varies[-1] = varies[-1] or last
            at += 1
            continue
        if char == "|":
            varies[-1] = True
            choices += choices if len(varies) > 1 else 1
            at, last = at + 1, False
            continue
        repeat = _REPEAT.match(text, at) if char == "{" else None
        if char in "*+?" or repeat is not None:
            fixed = repeat is not None and not repeat.group(2)
            if char == "?" and repeat is None:
                varies[-1] = True
                choices *= 2
            elif not fixed or last:
                if last:
                    raise PatternRefused("a repeated group may not hold repetitions or '|'")
                total += 1
                varies[-1] = True
            if repeat is not None and int(repeat.group(3) or repeat.group(1) or 0) > 1000:
                raise PatternRefused("a part may repeat at most 1000 times")
            at = at + 1 if repeat is None else repeat.end()
            if text[at : at + 1] in ("?", "+"):  # lazy or possessive
                at += 1
            last = False
            continue
        at, last = at + 1, False
    if total > 8:
        raise PatternRefused("a pattern may have at most 8 parts that repeat")
    if choices > 4096:
        raise PatternRefused("a pattern may leave at most 4096 ways by '?' and '|'")
    return total, choices


def _class_end(text: str, at: int) -> int:
    at += 1
    if text.startswith("^", at):
        at += 1
    if text.startswith("]", at):
        at += 1
    while at < len(text) and text[at] != "]":
        at += 2 if text[at] == "\\" else 1
    return at + 1
