"""The steps of a path in an expression: ``.name``, ``.1``, ``-5``, ``/name``, ``@name``, ``[…]``.

They are written without spaces: with one, ``/`` divides and ``-`` subtracts.
"""

from __future__ import annotations

import re
from typing import Final

from engine.formats.xml import XML_FORMATS
from engine.mapping.ast import (
    SEGMENTED,
    Attribute,
    Every,
    Expr,
    Index,
    Item,
    ListOf,
    Literal,
    Name,
    Number,
    Segment,
    Step,
    Where,
)
from engine.mapping.scanning import WORD, Scanner, Unreadable

_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}(?!\w)")
# Hyphens belong to XML names; a minus sign between paths stands with spaces.
_XML_NAME: Final = re.compile(r"(?:[^\W\d]\w*(?:-\w+)*:)?[^\W\d]\w*(?:-\w+)*|\*")
_RECORD: Final = re.compile(r"[A-Z]")
_DIGITS: Final = re.compile(r"[0-9]+")


def is_segment(name: str, format: str) -> bool:
    """Whether a segment, or a record of ASTM, may be called so."""
    return (_RECORD if format == "astm" else _SEGMENT).fullmatch(name) is not None


class PathParser(Scanner):
    """What a path is made of; what stands in a filter is an `expression`.  Raises Unreadable."""

    def expression(self) -> Expr:
        """The grammar's own: see `engine.mapping.grammar`."""
        raise NotImplementedError

    def item(self) -> Expr:
        start = self.at
        if not self.predicates:
            raise Unreadable(
                "M104",
                start,
                "'.' has no item here",
                help="'.' is the item inside […]; elsewhere a path begins with a name",
            )
        after = self.text[start + 1 : start + 2]
        if after and (after.isalnum() or after in "_'\"@"):
            return Item(start, start)  # the steps begin at the dot
        self.at += 1
        return Item(start, self.at)

    def steps(self, root: Expr) -> tuple[Step, ...]:
        if isinstance(root, Literal | ListOf):
            return ()
        steps: list[Step] = []
        while True:
            char = self.text[self.at : self.at + 1]
            if char == ".":
                steps.append(self.dotted(root, steps))
            elif char == "/" and self.steps_down():
                steps.append(self.down())
            elif char == "[":
                steps.append(self.selector())
            elif char == "-" and self.follows_segment(root, steps):
                found = _DIGITS.match(self.text, self.at + 1)
                if found is None:
                    return tuple(steps)
                steps.append(self.numbered(found))
            else:
                return tuple(steps)

    def steps_down(self) -> bool:
        """Whether this slash begins a step of an XML path, rather than dividing."""
        if self.format not in XML_FORMATS:
            return False
        after = self.text[self.at + 1 : self.at + 2]
        return after in ("@", "*", "'", '"') or _XML_NAME.match(after) is not None

    def down(self) -> Step:
        """``/name``, ``/p:name``, ``/*``, ``/'any name'`` or ``/@name``."""
        start = self.at
        self.at += 1
        if self.sees("@"):
            return self.attribute(start)
        if self.text[self.at] in "'\"":
            return Name(self.quoted(), start, self.at)
        found = _XML_NAME.match(self.text, self.at)
        assert found is not None  # noqa: S101 - see steps_down
        self.at = found.end()
        if self.sees("("):
            raise Unreadable(
                "M104",
                start,
                f"'{found.group()}()' is XPath's",
                length=self.at - start,
                help="an element gives its text; '| text' gives all text inside; "
                "xpath('…') evaluates XPath",
            )
        return Name(found.group(), start, self.at)

    def attribute(self, start: int) -> Step:
        self.at += 1
        found = _XML_NAME.match(self.text, self.at)
        if found is None or found.group() == "*":
            self.unexpected(help="the name of an attribute comes after '@'")
            raise AssertionError
        self.at = found.end()
        return Attribute(found.group(), start, self.at)

    def follows_segment(self, root: Expr, steps: list[Step]) -> bool:
        if self.format not in SEGMENTED:
            return False
        last: Step | None = None
        for step in reversed(steps):
            if not isinstance(step, Index | Every | Where):
                last = step
                break
        if last is None:
            return isinstance(root, Segment)
        return isinstance(last, Name) and is_segment(last.name, self.format)

    def dotted(self, root: Expr, steps: list[Step]) -> Step:
        start = self.at
        after = self.text[start + 1 : start + 2]
        if after in ("'", '"'):
            self.at += 1
            return Name(self.quoted(), start, self.at)
        if after == "@" and self.format in XML_FORMATS:
            self.at += 1
            return self.attribute(start)
        if self.format in XML_FORMATS:
            xml_name = _XML_NAME.match(self.text, start + 1)
            if xml_name is not None:
                self.at = xml_name.end()
                return Name(xml_name.group(), start, self.at)
        digits = _DIGITS.match(self.text, start + 1)
        if digits is not None:
            if self.follows_segment(root, steps):
                segment = self.text[root.start : start]
                raise Unreadable(
                    "M104",
                    start,
                    "a field follows its segment with a hyphen",
                    length=digits.end() - start,
                    help=f"write {segment}-{digits.group()}",
                )
            return self.numbered(digits)
        word = WORD.match(self.text, start + 1)
        if word is None:
            self.at += 1
            self.unexpected(help="a name or a number comes after '.'")
            raise AssertionError
        self.at = word.end()
        return Name(word.group(), start, self.at)

    def numbered(self, digits: re.Match[str]) -> Number:
        start, self.at = self.at, digits.end()
        if WORD.match(self.text, self.at):
            self.unexpected()
        number = int(digits.group()) if len(digits.group()) <= 4 else 0
        if number == 0:
            raise Unreadable(
                "M103",
                digits.start(),
                "fields and components count from 1 to 9999",
                length=len(digits.group()),
            )
        return Number(number, start, self.at)

    def selector(self) -> Step:
        start = self.at
        self.at += 1
        self.space()
        digits = _DIGITS.match(self.text, self.at)
        if digits is not None and self.text[digits.end() : digits.end() + 1] == "]":
            self.at = digits.end() + 1
            number = int(digits.group()) if len(digits.group()) <= 6 else 0
            if number == 0:
                raise Unreadable(
                    "M103",
                    digits.start(),
                    "indexes count from 1",
                    length=len(digits.group()),
                    help="the first is [1], the last is [last]",
                )
            return Index(number, start, self.at)
        if self.takes("*"):
            self.expect("]", start)
            return Every(start, self.at)
        if self.takes("last"):
            self.expect("]", start)
            return Index(-1, start, self.at)
        self.predicates += 1
        test = self.expression()
        self.predicates -= 1
        self.expect("]", start)
        return Where(test, start, self.at)
