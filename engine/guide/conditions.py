"""The guide's conditions (``IF OBX-2 EQUALS "SN" AND OBX-5.3 IN (":", "/")``) as trees."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<ref>[A-Z][A-Z0-9]{1,2}[-.]\d+(?:\.\d+)*)"""
    r"""|(?P<sign>[(),]|>|=)|(?P<number>\d+)|(?P<word>[A-Za-z.]+))"""
)
_IGNORED: Final = {"IF", "IS", "EQUALS", "EQUAL", "=", "TO", "DOES"}


class ConditionError(ValueError):
    """The text is no condition that this module knows."""


@dataclass(frozen=True, slots=True)
class Valued:
    """The field or component has a value."""

    ref: str


@dataclass(frozen=True, slots=True)
class Among:
    """The value is one of some codes, or equal to another field's (``other``)."""

    ref: str
    codes: tuple[str, ...]
    other: str = ""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many repetitions, or characters (``of`` is ``length``), compared by ``==`` or ``>``."""

    ref: str
    of: str
    operator: str
    number: int


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class Both:
    parts: tuple[Condition, ...]
    word: str
    """``and`` or ``or``."""


Condition = Valued | Among | Counted | Not | Both


def parse_condition(text: str, own: str) -> Condition:
    """``own`` is the row's source, which a clause without a field means.

    Raises ConditionError.
    """
    return _Parser(text, own).whole()


def refs_of(condition: Condition) -> Iterator[str]:
    match condition:
        case Not(part):
            yield from refs_of(part)
        case Both(parts):
            for part in parts:
                yield from refs_of(part)
        case Among(ref, _, other):
            yield ref
            if other:
                yield other
        case _:
            yield condition.ref


class _Parser:
    def __init__(self, text: str, own: str) -> None:
        self.own = self.last = own
        self.tokens: list[str] = []
        at = 0
        text = text.strip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ConditionError(f"cannot read {text[at:]!r}")
            token = found.group().strip()
            if token.upper() not in _IGNORED:
                self.tokens.append(token if found["text"] or found["ref"] else token.upper())
            at = found.end()

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self) -> str:
        if not self.tokens:
            raise ConditionError("ends too early")
        return self.tokens.pop(0)

    def whole(self) -> Condition:
        found = self.chain()
        if self.tokens:
            raise ConditionError(f"goes on with {self.peek()!r}")
        return found

    def chain(self) -> Condition:
        """Clauses joined by AND or OR; two clauses side by side are joined by AND."""
        parts = [self.clause()]
        word = ""
        while self.peek() and self.peek() != ")":
            joined = self.take() if self.peek() in ("AND", "OR") else "AND"
            if word and joined != word:
                raise ConditionError("mixes AND and OR without parentheses")
            word = joined
            parts.append(self.clause())
        return parts[0] if len(parts) == 1 else Both(tuple(parts), word.lower())

    def clause(self) -> Condition:
        if self.peek() == "(":
            self.take()
            found = self.chain()
            if self.take() != ")":
                raise ConditionError("a parenthesis is not closed")
            return found
        refs, word = [], ""
        while _is_ref(self.peek()):
            refs.append(self.take())
            # "TQ1-7 AND TQ1-8 NOT VALUED": what follows is said of all of them.
            if self.peek() in ("AND", "OR") and len(self.tokens) > 1 and _is_ref(self.tokens[1]):
                word = self.take()
            else:
                break
        self.last = refs[-1] if refs else self.last
        say = self.predicate()
        said = [say(ref) for ref in refs or [self.last]]
        return said[0] if len(said) == 1 else Both(tuple(said), word.lower())

    def predicate(self) -> Callable[[str], Condition]:
        say = self.take()
        if say == "NOT":
            inner = self.predicate()
            return lambda ref: Not(inner(ref))
        if say == "VALUED" or say == "EXIST":
            return Valued
        if say == "EMPTY":
            return lambda ref: Not(Valued(ref))
        if say == "IN":
            if self.take() != "(":
                raise ConditionError("IN wants a list")
            codes = []
            while (code := self.take()) != ")":
                if code != ",":
                    codes.append(code.strip("\"'"))
            return lambda ref: Among(ref, tuple(codes))
        if say in ("LST.COUNT", "COUNT", "LENGTH"):
            of = "length" if say == "LENGTH" else "count"
            operator = "=="
            while self.peek() in ("GREATER", "THAN", ">"):
                self.take()
                operator = ">"
            number = int(self.take())
            return lambda ref: Counted(ref, of, operator, number)
        if _is_ref(say):
            return lambda ref: Among(ref, (), say)
        if say[:1] in "\"'":
            return lambda ref: Among(ref, (say.strip("\"'"),))
        raise ConditionError(f"does not know {say!r}")


def _is_ref(token: str) -> bool:
    return re.match(r"[A-Z][A-Z0-9]{1,2}[-.]\d", token) is not None


def implies(condition: Condition, source: str) -> bool:
    """Whether the condition can only hold when the source has a value."""
    match condition:
        case Valued(ref) | Among(ref) | Counted(ref):
            return ref == source or ref.startswith(f"{source}.")
        case Both(parts, "and"):
            return any(implies(part, source) for part in parts)
    return False


def settles(condition: Condition, source: str) -> bool:
    """Whether the condition already says if the source has a value."""
    return implies(condition, source) or denies(condition, source)


def denies(condition: Condition, source: str) -> bool:
    match condition:
        case Not(Valued(ref)):
            return ref == source
        case Both(parts):
            return any(denies(part, source) for part in parts)
    return False
