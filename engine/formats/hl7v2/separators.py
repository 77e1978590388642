"""The delimiters of one message (HL7 2.5.1 ch. 2.5.4), and the escapes made of them (ch. 2.7).

Values are immutable and shared between messages: nearly all of a hospital's messages have the
same ones.  `Separators.escape` and `Separators.unescape` are each other's inverse for every text.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from engine.formats.errors import format_error

_DEFAULTS: Final = "^~\\&"
_CONTROL: Final = "".join(map(chr, (*range(0x20), 0x7F)))
_FORMATTING: Final = re.compile(r"\.(br|sp|sk|in|ti|fi|nf|ce)\s*([+-]?\d*)", re.IGNORECASE)
# ISO 2022 final bytes of the single-byte sets that \Cxxyy\ names after 2D (G1 of 8859 parts).
_LATIN_PARTS: Final = {
    "41": 1, "42": 2, "43": 3, "44": 4, "4C": 5, "47": 6, "46": 7, "48": 8, "4D": 9,
}  # fmt: skip
_ISO_2022: Final = ("iso2022_jp_2", "iso2022_jp_ext", "iso2022_kr")


@dataclass(frozen=True, slots=True)
class Separators:
    """One character each; ``truncation`` (2.7) is empty where the sender declares none.

    ``codec`` reads the bytes of hexadecimal escapes: it is the one of the message.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape_character: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""
    codec: str = "utf-8"
    encoding_characters: str = dataclasses.field(init=False)  # the text of MSH-2
    _written: dict[str, str] = dataclasses.field(init=False, repr=False, compare=False)
    _read: dict[str, str] = dataclasses.field(init=False, repr=False, compare=False)
    _special: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)
    _escaped: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)
    _switched: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        mark = self.escape_character
        letters = {
            "F": self.field,
            "S": self.component,
            "T": self.subcomponent,
            "R": self.repetition,
            "E": mark,
        }
        if self.truncation:
            letters["P"] = self.truncation
        written = {
            character: f"{mark}X{ord(character):02X}{mark}"
            for character in _CONTROL
            if character != "\n"
        }
        written["\n"] = f"{mark}.br{mark}"
        written |= {character: f"{mark}{letter}{mark}" for letter, character in letters.items()}
        quoted = re.escape(mark)
        known = r"[FSTREPHN]|X(?:[0-9A-Fa-f]{2})+|\.(?i:br|sp|sk|in|ti|fi|nf|ce)\s*[+-]?\d*"
        put = object.__setattr__
        put(
            self,
            "encoding_characters",
            f"{self.component}{self.repetition}{mark}{self.subcomponent}{self.truncation}",
        )
        put(self, "_written", written)
        put(self, "_read", {"P": "#", "H": "", "N": ""} | letters)
        put(self, "_special", re.compile("[" + "".join(map(re.escape, written)) + "]"))
        put(self, "_escaped", re.compile(f"{quoted}({known}){quoted}"))
        put(self, "_switched", re.compile(f"{quoted}([CM](?:[0-9A-Fa-f]{{2}}){{2,3}}){quoted}"))

    @property
    def usual(self) -> bool:
        """Whether a field of this message can stand in one with ``|^~\\&`` as it is."""
        return self.field == "|" and self.encoding_characters[:4] == _DEFAULTS

    def escape(self, text: str) -> str:
        """Text as it may stand in a field: no separator and no control character is left.

        A line feed becomes ``\\.br\\``, other control characters hexadecimal escapes.
        """
        if text.isalnum() or self._special.search(text) is None:
            return text
        written = self._written
        return self._special.sub(lambda match: written[match[0]], text)

    def unescape(self, text: str) -> str:
        """What a field's text means; an escape that nobody defined stays as it is written.

        Highlighting (``\\H\\ \\N\\``) has no text and vanishes; formatting commands become line
        feeds and spaces; character set switches are followed.
        """
        if self.escape_character not in text:
            return text
        if self._switched.search(text) is not None:
            text = self._switch_charsets(text)
        return self._escaped.sub(self._meaning, text)

    def _meaning(self, match: re.Match[str]) -> str:
        sequence = match[1]
        simple = self._read.get(sequence)
        if simple is not None:
            return simple
        if sequence[0] == "X":
            try:
                data = bytes.fromhex(sequence[1:])
                return data.decode("ascii" if data.isascii() else self.codec)
            except UnicodeDecodeError:
                return match[0]
        command = _FORMATTING.fullmatch(sequence)
        if command is None:
            return match[0]
        count = min(int(command[2].lstrip("+-") or 1), 100)
        return {"br": "\n", "ce": "\n", "sp": "\n" * count, "sk": " " * count}.get(
            command[1].lower(), ""
        )

    def _switch_charsets(self, text: str) -> str:
        """``\\Cxxyy\\`` and ``\\Mxxyyzz\\`` hold the bytes of an ISO 2022 escape, and what follows
        up to the next one is in that set.  A run that does not fit is left as it is written."""
        head, *rest = self._switched.split(text)
        pieces = [head]
        for sequence, run in zip(rest[::2], rest[1::2], strict=True):
            mark = self.escape_character
            pieces.append(_decode_run(sequence, run, self.codec, f"{mark}{sequence}{mark}{run}"))
        return "".join(pieces)


def _decode_run(sequence: str, run: str, codec: str, verbatim: str) -> str:
    code = sequence[1:].upper()
    if code in ("2842", "284A"):  # back to ASCII (or JIS X 0201 Roman, the same but for two)
        return run
    try:
        if code[:2] == "2D" and code[2:] in _LATIN_PARTS:
            return run.encode(codec).decode(f"iso8859_{_LATIN_PARTS[code[2:]]}")
        body = b"\x1b" + bytes.fromhex(code) + run.encode("ascii") + b"\x1b(B"
    except UnicodeError:
        return verbatim
    for iso_2022 in _ISO_2022:
        try:
            text = body.decode(iso_2022)
        except UnicodeDecodeError:
            continue
        if "\x1b" not in text:
            return text
    return verbatim


@lru_cache(maxsize=256)
def separators_of(field_separator: str, encoding: str, codec: str) -> Separators:
    """From MSH-1 and MSH-2 as they are sent, forgiving what is common.

    A doubled character counts once (``^~\\\\&``, from a text escaped twice).  ``^~&`` has lost its
    backslash.  What is missing has its usual value where that is free.  Text that cannot be
    delimiters is taken as an empty MSH-2.  Raises FormatError (HL7-SEPARATOR).
    """
    if not _may_separate(field_separator):
        raise format_error("HL7-SEPARATOR")
    given = list(dict.fromkeys(encoding))
    if len(given) > 5 or field_separator in given or not all(map(_may_separate, given)):
        given = []
    if len(given) == 3 and given[2] == "&":
        given.insert(2, "\\")
    for usual in _DEFAULTS[len(given) :]:
        free = usual if usual != field_separator and usual not in given else None
        given.append(free or next(c for c in "!@$%*" if c != field_separator and c not in given))
    component, repetition, escape, subcomponent, *truncation = given
    return Separators(
        field_separator, component, repetition, escape, subcomponent, "".join(truncation), codec
    )


def _may_separate(character: str) -> bool:
    return " " < character < "\x7f" and not character.isalnum()
