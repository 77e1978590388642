"""What YAML does to a text that was not quoted, said in words that help.

A plain scalar ends at ``: ``, at `` #`` and, inside ``{…}`` or ``[…]``, at a comma or a bracket.
An expression (``= …``) holds such characters often, and the scanner's own words do not help there.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from engine.syntax.diagnostics import Diagnostics
from engine.syntax.position import Position
from engine.syntax.source import lines_of, place_of

_EXPRESSION_ON_LINE: Final = re.compile(r"(?::|-|\[|\{|,|\?)\s+(=(?!=)\s.*)$|^\s*(=(?!=)\s.*)$")
_CLOSES: Final = {")": "(", "]": "[", "}": "{"}

_WORDS: Final = (
    ("mapping values are not allowed", "a ': ' stands where no key can be", None),
    ("could not find expected ':'", "a key without ':'", "write 'key: value'"),
    ("did not find expected key", "this line is not indented like its neighbours", None),
    ("did not find expected '-' indicator", "this line is not indented like its list", None),
    ("did not find expected ',' or '}'", "'{' is not closed before this place", "write '}'"),
    ("did not find expected ',' or ']'", "'[' is not closed before this place", "write ']'"),
    ("found unexpected end of stream", "a quote is not closed", "close the quote"),
    ("block sequence entries are not allowed", "a list cannot begin here", "begin a new line"),
    ("found unknown escape character", "an unknown escape in double quotes", "write '\\\\'"),
    ("cannot start any token", "a text cannot begin with this character", "quote the text"),
)


def is_expression(text: str) -> bool:
    """``==`` begins a literal that starts with ``=``."""
    return text.startswith("=") and not text.startswith("==")


def is_unfinished(text: str) -> bool:
    """Whether a quote or a bracket of this expression is left open."""
    opened: list[str] = []
    quote = ""
    index = 0
    while index < len(text):
        char = text[index]
        if quote:
            if char == "\\":
                index += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{":
            opened.append(char)
        elif char in _CLOSES and (not opened or opened.pop() != _CLOSES[char]):
            return False
        index += 1
    return bool(quote or opened)


def report_syntax_error(error: Exception, text: str, file: str, diagnostics: Diagnostics) -> None:
    """One diagnostic for what the scanner or parser could not read."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or "the text is not YAML")
    if "quoted scalar" in str(getattr(error, "context", "")) and "end of stream" in problem:
        mark = getattr(
            error, "context_mark", mark
        )  # where the quote opens, not where the file ends
    if mark is None:
        place = place_of(text, 0, file)
        if isinstance(error, yaml.reader.ReaderError):
            problem = "an unreadable character"
        diagnostics.add("Y101", place, problem)
        return
    lines = lines_of(text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    place = Position(file, mark.line + 1, mark.column + 1)
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line[mark.column : mark.column + 1] == "\t":
        column = indent.index("\t") if "\t" in indent else mark.column
        tab = Position(file, mark.line + 1, column + 1)
        diagnostics.add("Y006", tab, "a tab", help="use spaces")
        return
    if _reports_cut(error, line, place, diagnostics):
        return
    message, help = problem.rstrip("."), None
    for words, said, advice in _WORDS:
        if words in problem:
            message, help = said, advice
            break
    if "mapping values" in problem:
        diagnostics.add("Y110", place, message, help="quote the text, or indent the line")
    else:
        diagnostics.add("Y101", place, message, help=help or _context(error))


def _reports_cut(error: Exception, line: str, place: Position, diagnostics: Diagnostics) -> bool:
    """When the broken line holds an expression, the expression is what YAML stumbled over."""
    found = _EXPRESSION_ON_LINE.search(line)
    if found is None:
        return False
    group = 1 if found.group(1) else 2
    start = found.start(group) + 1
    if start > place.column:
        return False
    diagnostics.add(
        "Y109",
        Position(place.file, place.line, start),
        f"this expression was cut at column {place.column}",
        length=max(1, place.column - start),
        help="quote the whole expression, with its '='",
    )
    return True


def _context(error: Any) -> str | None:
    mark = getattr(error, "context_mark", None)
    context = getattr(error, "context", None)
    if mark is None or not context or mark == getattr(error, "problem_mark", None):
        return None
    return f"it would belong to what begins at line {mark.line + 1}"
