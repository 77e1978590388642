"""The text of an expression, character by character: words, literals, and what was not expected.

``at`` only moves forward, and nesting is counted, so that reading ends for every text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from engine.mapping.ast import Literal

MAX_DEPTH: Final = 40
MAX_LENGTH: Final = 4000

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SPACES: Final = " \t\r\n"
WORD: Final = re.compile(r"[^\W\d]\w*")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_HINTS: Final = {
    "||": "write 'or'; one '|' pipes into a function",
    "&&": "write 'and'",
    "=": "write '==' to compare",
    "&": "write 'and'",
    "@": "an attribute of the item is .@name",
    "%": "there is no remainder",
    ":": "names of arguments are not written here",
    "{": "an object is written in YAML, below its key",
    ";": "an expression ends here",
}


class Unreadable(Exception):
    def __init__(
        self, code: str, offset: int, message: str, *, length: int = 1, help: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.offset, self.message = code, offset, message
        self.length, self.help = length, help


class Scanner:
    """Where the reader of one expression is."""

    def __init__(self, text: str, start: int, format: str) -> None:
        self.text, self.at, self.format = text, start, format
        self.depth = 0
        self.predicates = 0

    def space(self) -> None:
        if self.text[self.at : self.at + 1] not in _SPACES:
            return
        found = _SPACE.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def sees(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def takes(self, token: str) -> bool:
        """Skip spaces, then the token if it is there; a word must end where the token ends."""
        self.space()
        if not self.sees(token):
            return False
        end = self.at + len(token)
        if token[-1].isalpha() and end < len(self.text) and (self.text[end] + "a").isidentifier():
            return False
        self.at = end
        return True

    def expect(self, token: str, opened: int | None = None) -> None:
        if self.takes(token):
            return
        if self.at >= len(self.text):
            place = len(self.text) - 1 if opened is None else opened
            raise Unreadable("M101", place, f"'{token}' is missing at the end")
        self.unexpected(help=f"'{token}' was expected here")

    def unexpected(self, *, help: str | None = None) -> None:
        self.space()
        if self.at >= len(self.text):
            raise Unreadable(
                "M101", max(0, len(self.text) - 1), "the expression ends too early", help=help
            )
        word = WORD.match(self.text, self.at)
        found = word.group() if word else self.text[self.at]
        if help is None:
            help = _HINTS.get(self.text[self.at : self.at + 2]) or _HINTS.get(found)
        raise Unreadable("M101", self.at, f"unexpected '{found}'", length=len(found), help=help)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("M105", self.at - 1, f"nested more than {MAX_DEPTH} deep")

    def number(self) -> Literal:
        start = self.at
        found = _NUMBER.match(self.text, start)
        assert found is not None  # noqa: S101 - the caller saw a digit
        digits = found.group()
        if len(digits) > 40:
            raise Unreadable("M101", start, "a number has at most 40 digits", length=len(digits))
        self.at = found.end()
        if WORD.match(self.text, self.at):
            self.unexpected()
        return Literal(Decimal(digits) if "." in digits else int(digits), start, self.at)

    def quoted(self) -> str:
        start, quote = self.at, self.text[self.at]
        at = start + 1
        while True:
            end = self.text.find(quote, at)
            if end < 0:
                raise Unreadable(
                    "M102", start, "this text is not closed", help=f"end it with {quote}"
                )
            slashes = end - len(self.text[:end].rstrip("\\"))
            if slashes % 2 == 0:
                break
            at = end + 1
        self.at = end + 1
        return _ESCAPE.sub(_unescaped, self.text[start + 1 : end])


def _unescaped(found: re.Match[str]) -> str:
    """An unknown escape stays as it is, so that patterns need no double backslashes."""
    if found.group(1):
        code = int(found.group(1), 16)
        return found.group() if 0xD800 <= code <= 0xDFFF else chr(code)
    return _ESCAPES.get(found.group(2), found.group())
