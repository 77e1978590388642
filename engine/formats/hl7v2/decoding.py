"""From bytes to text, before anything is split: in GBK and Big5 the bytes of ``| ^ \\ ~`` are
also the second half of Chinese characters.

Which character set counts, first to last:

1. a byte order mark, or zero bytes around ``MSH`` (UTF-16, UTF-32);
2. MSH-18, when it names a known set.  ``ASCII`` with bytes above 127 counts as not declared:
   too many senders mean "whatever we have always sent";
3. the channel's ``charset``; 4. UTF-8.

Nothing is guessed beyond that, and nothing is replaced: bytes that do not fit are refused
(CHARSET-DECODE), since a wrong name on a blood sample is worse than a message that is sent again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from engine.formats.charsets import (
    ASCII,
    UTF_8,
    Charset,
    declared_charset,
    find_charset,
)
from engine.formats.errors import format_error

# Longest first: the mark of UTF-32-LE begins with that of UTF-16-LE.
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", Charset("UNICODE UTF-32", ("utf-32-le",))),
    (b"\x00\x00\xfe\xff", Charset("UNICODE UTF-32", ("utf-32-be",))),
    (b"\xef\xbb\xbf", UTF_8),
    (b"\xff\xfe", Charset("UNICODE UTF-16", ("utf-16-le",))),
    (b"\xfe\xff", Charset("UNICODE UTF-16", ("utf-16-be",))),
)
_WIDE: Final = (
    ("MSH".encode("utf-32-le"), _MARKS[0][1]),
    ("MSH".encode("utf-32-be"), _MARKS[1][1]),
    ("MSH".encode("utf-16-le"), _MARKS[3][1]),
    ("MSH".encode("utf-16-be"), _MARKS[4][1]),
)
# Sets whose second bytes can look like a field separator, and so move MSH-18.
_HIDING: Final = ("gb18030", "big5", "cp932")


def channel_charset(name: str | None) -> Charset:
    """The channel's setting as a charset, UTF-8 without one.  Raises FormatError."""
    if name is None:
        return UTF_8
    charset = find_charset(name)
    if charset is None:
        raise format_error("CHARSET-UNKNOWN", "the channel's charset is not known")
    return charset


def decode(body: bytes, default: str | None) -> tuple[str, Charset, bytes]:
    """The text, the character set it was in, and the byte order mark that was before it.

    Raises FormatError (CHARSET-DECODE, CHARSET-UNKNOWN).
    """
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return charset.decode(body[len(mark) :]), charset, mark
    for start, charset in _WIDE:
        at = body[:64].find(start)
        if at >= 0 and at % (len(start) // 3) == 0:  # at the start of a code unit
            return charset.decode(body), charset, b""
    charset = _declared(body) or channel_charset(default)
    return charset.decode(body), charset, b""


def _declared(body: bytes) -> Charset | None:
    """MSH-18 read from the bytes.

    A Chinese or Japanese name in MSH-3 to MSH-6 may hide a separator; then the header is read
    again in each set that can do that, and the one that finds its own name is right.
    """
    header = body[max(body.find(b"MSH"), 0) :].lstrip()
    end = min((at for at in (header.find(b"\r"), header.find(b"\n")) if at >= 0), default=None)
    header = header[:end]
    found = _field_18(header.decode("latin-1"))
    if found is None:
        for codec in _HIDING:
            try:
                own = _field_18(header.decode(codec))
            except UnicodeDecodeError:
                continue
            if own is not None and codec in own.codecs:
                found = own
                break
    if found is ASCII and not body.isascii():
        return None
    return found


@lru_cache(maxsize=256)
def header_charset(field: str, repetition: str) -> Charset | None:
    """What MSH-18 says in a header that was readable byte for byte: that is never UTF-16."""
    charset = declared_charset(field, repetition)
    wide = charset is not None and charset.codec.startswith(("utf-16", "utf-32"))
    return UTF_8 if wide else charset


def _field_18(header: str) -> Charset | None:
    fields = header.split(header[3:4] or "|")
    repetition = fields[1][1:2] if len(fields) > 1 else ""
    return header_charset(fields[17][:128], repetition or "~") if len(fields) > 17 else None
