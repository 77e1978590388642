"""Text of an expression to its tree.

::

    expr    := or ('??' or)*
    or      := and ('or' and)*          and := not ('and' not)*      not := 'not' not | cmp
    cmp     := sum (('=='|'!='|'<'|'<='|'>'|'>='|'in'|'not in'|'matches') sum)?
    sum     := product (('+'|'-') product)*       product := pipe (('*'|'/') pipe)*
    pipe    := unary ('|' name args?)*            unary := '-' unary | prim
    prim    := (text | number | true | false | list | root | name args | '(' expr ')') step* '!'?
    step    := '.' name | '/' name | '.@' name                       ('/' and '@' in XML)
             | '.' number | '.' text | '[' (number | '*' | 'last' | expr) ']'
             | '-' number                          (hl7v2, directly after a segment)

The steps of a path are written without spaces.  Nothing recurses deeper than `MAX_DEPTH`, and
each character is read a bounded number of times, so that parsing ends for every text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from engine.mapping.ast import (
    Call,
    Expr,
    GroupName,
    ListOf,
    Literal,
    Negative,
    Not,
    Operation,
    Path,
    Required,
    Resources,
    Segment,
    Top,
    Variable,
)
from engine.mapping.grammar_paths import PathParser, is_segment
from engine.mapping.scanning import MAX_LENGTH, WORD, Unreadable
from engine.syntax import Diagnostics, Scalar

_GROUP: Final = re.compile(r"[A-Z][A-Z0-9_]{3,}")
_COMPARISON: Final = re.compile(r"==|!=|<=|>=|<|>|(?:in|matches)(?!\w)|not\s+in(?!\w)")
_RESERVED: Final = frozenset({"and", "or", "not", "in", "matches", "true", "false", "last"})
_CALLABLE: Final = frozenset({"last", "matches"})


def is_expression(text: str) -> bool:
    """``==`` begins a literal that starts with ``=``."""
    return text.startswith("=") and not text.startswith("==")


def is_group_name(name: str) -> bool:
    """``ORDER_OBSERVATION``: capitals, and too long for a segment."""
    return len(name) > 3 and _GROUP.fullmatch(name) is not None


def parse_expression(
    scalar: Scalar, format: str, diagnostics: Diagnostics, *, start: int | None = None
) -> Expr | None:
    """The tree of the expression from ``start`` on (default: after the ``=``, if there is one).

    Returns None after a diagnostic; never raises.
    """
    text = scalar.text
    if start is None:
        start = 1 if is_expression(text) else 0
    try:
        return _tree(text, start, format)
    except Unreadable as found:
        diagnostics.add(
            found.code,
            scalar.at(found.offset),
            found.message,
            length=found.length,
            help=found.help,
        )
        return None


@lru_cache(maxsize=20_000)
def _tree(text: str, start: int, format: str) -> Expr:
    """Kept: every mapping that imports a map reads the expressions of the map."""
    return _Parser(text, start, format).whole()


class _Parser(PathParser):
    def whole(self) -> Expr:
        if len(self.text) > MAX_LENGTH:
            raise Unreadable("M105", 0, f"an expression has at most {MAX_LENGTH} characters")
        self.space()
        if self.at >= len(self.text):
            raise Unreadable("M101", max(0, self.at - 1), "an expression is missing after '='")
        tree = self.expression()
        self.space()
        if self.at < len(self.text):
            self.unexpected()
        return tree

    # --- operators ----------------------------------------------------------------------

    def expression(self) -> Expr:
        self.deeper()
        left = self.disjunction()
        while self.takes("??"):
            right = self.disjunction()
            left = Operation("??", left, right, left.start, right.end)
        self.depth -= 1
        return left

    def disjunction(self) -> Expr:
        left = self.conjunction()
        while self.takes("or"):
            right = self.conjunction()
            left = Operation("or", left, right, left.start, right.end)
        return left

    def conjunction(self) -> Expr:
        left = self.negation()
        while self.takes("and"):
            right = self.negation()
            left = Operation("and", left, right, left.start, right.end)
        return left

    def negation(self) -> Expr:
        self.space()
        start = self.at
        if self.takes("not"):
            self.deeper()
            operand = self.negation()
            self.depth -= 1
            return Not(operand, start, operand.end)
        return self.comparison()

    def comparison(self) -> Expr:
        left = self.sum()
        operator = self.operator()
        if operator is None:
            return left
        right = self.sum()
        start = self.at
        if self.operator() is not None:
            raise Unreadable(
                "M106",
                start,
                "comparisons cannot be chained",
                help="write 'a < b and b < c'",
            )
        return Operation(operator, left, right, left.start, right.end)

    def operator(self) -> str | None:
        self.space()
        found = _COMPARISON.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return " ".join(found.group().split())

    def sum(self) -> Expr:
        left = self.product()
        while True:
            operator = "+" if self.takes("+") else "-" if self.takes("-") else None
            if operator is None:
                return left
            right = self.product()
            left = Operation(operator, left, right, left.start, right.end)

    def product(self) -> Expr:
        left = self.pipe()
        while True:
            operator = "*" if self.takes("*") else "/" if self.takes("/") else None
            if operator is None:
                return left
            right = self.pipe()
            left = Operation(operator, left, right, left.start, right.end)

    def pipe(self) -> Expr:
        left = self.unary()
        while True:
            self.space()
            if self.sees("||"):
                self.unexpected()
            if not self.takes("|"):
                return left
            self.space()
            start = self.at
            word = WORD.match(self.text, self.at)
            if word is None or word.group() in _RESERVED - _CALLABLE:
                self.unexpected(help="the name of a function comes after '|'")
                raise AssertionError
            self.at = word.end()
            arguments = self.arguments() if self.sees("(") else ()
            left = Call(word.group(), (left, *arguments), True, start, self.at)
            left = self.required(left)

    def unary(self) -> Expr:
        self.space()
        start = self.at
        if self.sees("-"):
            self.at += 1
            self.deeper()
            operand = self.unary()
            self.depth -= 1
            return Negative(operand, start, operand.end)
        return self.primary()

    # --- operands -----------------------------------------------------------------------

    def primary(self) -> Expr:
        root = self.root()
        steps = self.steps(root)
        whole: Expr = Path(root, steps, root.start, self.at) if steps else root
        return self.required(whole)

    def required(self, operand: Expr) -> Expr:
        if self.sees("!") and not self.sees("!="):
            self.at += 1
            return Required(operand, operand.start, self.at)
        return operand

    def root(self) -> Expr:
        self.space()
        start = self.at
        char = self.text[start : start + 1]
        if char in ("'", '"'):
            value = self.quoted()
            return Literal(value, start, self.at)
        if char.isdigit() and char.isascii():
            return self.number()
        if char == "(":
            self.at += 1
            inside = self.expression()
            self.expect(")", start)
            return inside
        if char == "[":
            return self.list_of()
        if char == "$":
            word = WORD.match(self.text, start + 1)
            if word is None:
                self.at += 1
                self.unexpected(help="the name of a variable comes after '$'")
                raise AssertionError
            self.at = word.end()
            return Variable(word.group(), start, self.at)
        if char == ".":
            return self.item()
        if char == "/" and self.steps_down():
            return Top(start, start)
        return self.named()

    def named(self) -> Expr:
        start = self.at
        word = WORD.match(self.text, start)
        if word is None:
            self.unexpected()
            raise AssertionError
        name = word.group()
        if name in ("true", "false"):
            self.at = word.end()
            return Literal(name == "true", start, self.at)
        if name in _RESERVED and not (name in _CALLABLE and self.text.startswith("(", word.end())):
            self.unexpected()
        self.at = word.end()
        if self.sees("("):
            return Call(name, self.arguments(), False, start, word.end())
        if self.format == "astm" and is_segment(name, self.format):
            return Segment(name, start, self.at)
        if self.format == "hl7v2":
            if is_segment(name, self.format):
                return Segment(name, start, self.at)
            if is_group_name(name):
                return GroupName(name, start, self.at)
            raise Unreadable(
                "M104",
                start,
                f"'{name}' is not a segment or a group",
                length=len(name),
                help=_word_help(name)
                or "a path begins with a segment's name, such as PID-5.1, or with a variable",
            )
        if self.format == "fhir" and name[0].isupper():
            return Resources(name, start, self.at)
        begins = _BEGINS.get(self.format, "$src")
        raise Unreadable(
            "M104",
            start,
            f"'{name}' is not a path",
            length=len(name),
            help=_word_help(name)
            or f"a path begins with {begins}, or with a variable; text is quoted: '{name}'",
        )

    def list_of(self) -> ListOf:
        start = self.at
        self.at += 1
        items: list[Expr] = []
        if not self.takes("]"):
            while True:
                items.append(self.expression())
                if not self.takes(","):
                    break
            self.expect("]", start)
        return ListOf(tuple(items), start, self.at)

    def arguments(self) -> tuple[Expr, ...]:
        opened = self.at
        self.at += 1
        if self.takes(")"):
            return ()
        found = [self.expression()]
        while self.takes(","):
            found.append(self.expression())
        self.expect(")", opened)
        return tuple(found)


_BEGINS: Final = {
    "fhir": "a resource type, such as Patient",
    "astm": "a record's letter, such as P-6.1",
    "xml": "'/' and the root's name",
    "soap": "'/' and an element's name",
    "cda": "/ClinicalDocument",
}


def _word_help(name: str) -> str | None:
    words = {
        "null": "a missing value is nothing: leave it out, or test it with exists(…)",
        "None": "a missing value is nothing: leave it out, or test it with exists(…)",
        "True": "write true",
        "False": "write false",
        "AND": "write and",
        "OR": "write or",
        "NOT": "write not",
        "IN": "write in",
    }
    return words.get(name)
