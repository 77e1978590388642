"""Acknowledgements: what a sender is told about its message, and what a receiver tells us.

Original and enhanced mode (HL7 2.5.1 ch. 2.9.2, 2.9.3): without MSH-15 and MSH-16 the answer is
AA, AE or AR.  With MSH-15 it is CA, CE or CR, when the condition there (AL, NE, ER, SU) asks for
it; otherwise MSH-16 decides in the same way about AA, AE or AR, since Carebus is the receiving
application of its sender.  A condition nobody defined counts as AL: a needless answer does no
harm, a missing one stops the sender.

===========================  ============  ==========================================
outcome                      code          what the sender does
===========================  ============  ==========================================
ACCEPTED, DUPLICATE          AA or CA      goes on
REJECTED                     AR or CR      never sends it again
UNAVAILABLE                  AE or CE      sends it again
===========================  ============  ==========================================

The answer has the sender's version, delimiters, character set and line end.  Its texts come from
`ErrorInfo`, which holds no clinical value.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from engine.contract import ErrorInfo, FormatError, Outcome, Receipt, Stage
from engine.formats.charsets import UTF_8, Charset
from engine.formats.errors import format_error
from engine.formats.hl7v2.element import component
from engine.formats.hl7v2.message import Hl7Message, parse
from engine.formats.hl7v2.segment import Segment
from engine.formats.hl7v2.separators import Separators, separators_of

_CODES: Final = {
    Outcome.ACCEPTED: "A",
    Outcome.DUPLICATE: "A",
    Outcome.REJECTED: "R",
    Outcome.UNAVAILABLE: "E",
}
_CONDITIONS: Final = {  # HL7 table 0155
    ("NE", True): False,
    ("NE", False): False,
    ("ER", True): False,
    ("SU", False): False,
}
_DEFAULT_VERSION: Final = "2.5.1"
_VERSION: Final = re.compile(r"\s*(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?")
_NO_FIELDS: Final = [""] * 19

# HL7 table 0357, by the beginning of our code, then by stage.
_SEQUENCE_ERROR: Final = ("100", "Segment sequence error")
_UNSUPPORTED_TYPE: Final = ("200", "Unsupported message type")
_INTERNAL_ERROR: Final = ("207", "Application internal error")
_BY_CODE: Final = {
    "HL7-HEADER": _SEQUENCE_ERROR,
    "HL7-SEVERAL": _SEQUENCE_ERROR,
    "HL7-BATCH": _SEQUENCE_ERROR,
    "HL7-SEPARATOR": ("102", "Data type error"),
    "CHARSET-DECODE": ("102", "Data type error"),
}
_BY_STAGE: Final = {Stage.ROUTING: _UNSUPPORTED_TYPE}


def acknowledge(
    message: Hl7Message | None,
    receipt: Receipt,
    *,
    now: datetime,
    control_id: str,
    body: bytes = b"",
) -> bytes | None:
    """The answer for this receipt; None when the sender asked for none.

    ``control_id`` becomes MSH-10 of the answer, ``now`` (aware) its MSH-7.  When the message could
    not be parsed, ``message`` is None and ``body`` may hold its bytes: as much of its header as
    can be read is answered, so that the sender knows which message is meant.  Pure.
    """
    if message is None:
        fields, separators, charset, line_end, mark = _unreadable(body)
    else:
        fields = message.header.fields
        separators = message.separators
        charset = message.charset
        line_end = message.line_end
        mark = message.mark
    if len(fields) < 19:
        fields = fields + _NO_FIELDS[len(fields) :]
    letter = _CODES[receipt.outcome]
    accept = fields[15]
    application = fields[16]
    if not accept and not application:
        family = "A"
    else:
        positive = letter == "A"
        if accept and _CONDITIONS.get((accept.strip().upper(), positive), True):
            family = "C"
        elif application and _CONDITIONS.get((application.strip().upper(), positive), True):
            family = "A"
        else:
            return None
    bar = separators.field
    version = fields[12]
    kind = _kind(version[:32], fields[9][:64], separators)
    charset_field = f"{bar * 6}{fields[18]}" if fields[18] else ""
    answer = (
        f"MSH{bar}{separators.encoding_characters}{bar}{fields[5]}{bar}{fields[6]}{bar}{fields[3]}{bar}{fields[4]}"
        f"{bar}{_timestamp(now)}{bar}{bar}{kind}{bar}{control_id}{bar}{fields[11] or 'P'}{bar}"
        f"{version}{charset_field}{line_end}"
        f"MSA{bar}{family}{letter}{bar}{fields[10]}"
    )
    if letter == "A" or receipt.error is None:
        answer += line_end
    else:
        answer += _failure(receipt.error, _number(version[:32]), separators, line_end)
    if "\x1c" in answer:  # a frame's end inside MLLP: the answer must not be cut there
        answer = answer.replace("\x1c", "")
    if answer.isascii() and not charset.codec.startswith(("utf-16", "utf-32")):
        return answer.encode("ascii")
    return (b"" if mark == BOM_UTF8 else mark) + charset.encode(answer)


@lru_cache(maxsize=4096)
def _kind(version: str, message_type: str, separators: Separators) -> str:
    """MSH-9: ``ACK``, from 2.2 with the trigger event, from 2.3.1 with the structure."""
    event = component(message_type, 2, separators.component)
    number = _number(version)
    if not event or (number is not None and number < (2, 2, 0)):
        return "ACK"
    kind = f"ACK{separators.component}{event}"
    if number is not None and number >= (2, 3, 1):
        kind += f"{separators.component}ACK"
    return kind


@lru_cache(maxsize=1024)
def _number(version: str) -> tuple[int, int, int] | None:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _timestamp(now: datetime) -> str:
    zone = "+0000" if now.tzinfo is UTC else f"{now:%z}"[:5]
    return (
        f"{now.year:04}{now.month:02}{now.day:02}{now.hour:02}{now.minute:02}{now.second:02}{zone}"
    )


def _failure(
    error: ErrorInfo,
    version: tuple[int, int, int] | None,
    separators: Separators,
    line_end: str,
) -> str:
    """The rest of MSA, and the ERR segment of this version.

    To 2.4: MSA-3 says it in words, ERR-1 ends with the code (HL7 2.4 ch. 2.16.5.1), which has a
    table of its own from 2.3 on.  From 2.5: ERR-3 code, ERR-4 severity, ERR-5 our code, ERR-7 the
    words, ERR-8 what the user may do.  A version that is none is taken for a new one.
    """
    condition, meaning = _BY_CODE.get(error.code) or _BY_STAGE.get(error.stage) or _INTERNAL_ERROR
    bar = separators.field
    dot = separators.component
    escape = separators.escape
    words = escape(_ascii(error.summary))
    if version is not None and version < (2, 5, 0):
        code = condition
        if version >= (2, 3, 0):
            code = separators.subcomponent.join((condition, meaning, "HL70357"))
        return (
            f"{bar}{escape(_ascii(error.code))}: {words}{line_end}ERR{bar}{dot * 3}{code}{line_end}"
        )
    coded = f"{condition}{dot}{meaning}{dot}HL70357"
    segment = f"ERR{bar}{bar}{bar}{coded}{bar}E{bar}{escape(_ascii(error.code))}{bar}{bar}{words}"
    if error.help:
        segment += f"{bar}{escape(_ascii(error.help))}"
    return f"{line_end}{segment}{line_end}"


def _ascii(text: str) -> str:
    """Our words fit every sender's character set."""
    return text.encode("ascii", "replace").decode("ascii")


def _unreadable(body: bytes) -> tuple[list[str], Separators, Charset, str, bytes]:
    """Header fields of bytes that are no message: ASCII parts of the MSH segment, if there is one.

    The charset is unknown, so a field with anything but ASCII in it is left out.
    """
    usual = Separators(codec="ascii")
    start = body.find(b"MSH")
    line = re.split(rb"[\r\n]", body[start : start + 4096], maxsplit=1)[0] if start >= 0 else b""
    header = line.decode("latin-1")
    fields = [""] * 19
    if len(header) > 8 and header[3] == header[8] and not header[3].isalnum():
        try:
            separators = separators_of(header[3], header[4:8], "ascii")
        except FormatError:
            separators = usual
        segment = Segment(header, separators)
        fields = [
            value if value.isascii() and value.isprintable() else "" for value in segment.fields
        ]
    else:
        separators = usual
    fields = (fields + _NO_FIELDS)[:19]
    fields[12] = fields[12] or _DEFAULT_VERSION
    fields[18] = ""
    return fields, separators, UTF_8, "\r", b""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A peer's answer.  ``code`` is one of AA, AE, AR, CA, CE, CR; ``control_id`` (MSA-2) names
    the message it is about.  ``text`` is the peer's own and may hold anything: never log it."""

    code: str
    control_id: str
    error_code: str = ""  # of HL7 table 0357 or the peer's own: ERR-3, ERR-1.4, MSA-6
    severity: str = ""
    text: str = field(default="", repr=False)

    @property
    def positive(self) -> bool:
        return self.code in ("AA", "CA")

    @property
    def rejected(self) -> bool:
        """The same message will never be taken (AR, CR); else AE or CE: it may be later."""
        return self.code in ("AR", "CR")


def read_acknowledgement(body: bytes, charset: str | None = None) -> Acknowledgement:
    """Raises FormatError: HL7-ACK, or what `parse` raises."""
    message = parse(body, charset)
    msa = message.segment("MSA")
    code = msa.field(1).strip().upper() if msa is not None else ""
    if msa is None or code not in ("AA", "AE", "AR", "CA", "CE", "CR"):
        raise format_error("HL7-ACK", stage=Stage.SENDING)
    separators = message.separators
    error = message.segment("ERR")
    error_code = ""
    severity = ""
    if error is not None:
        severity = error.field(4).strip()
        error_code = component(error.field(3), 1, separators.component)
        if not error_code:
            coded = component(error.field(1), 4, separators.component)
            error_code = component(coded, 1, separators.subcomponent)
    error_code = error_code or component(msa.field(6), 1, separators.component)
    return Acknowledgement(
        code,
        separators.unescape(msa.field(2)).strip(),
        separators.unescape(error_code).strip(),
        severity,
        separators.unescape(msa.field(3)),
    )
