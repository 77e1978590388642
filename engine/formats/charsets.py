"""Character sets: those of HL7 table 0211 and the national ones beside it, under every spelling
seen in MSH-18, in HTTP headers and in settings.

A `Charset` decodes and encodes strictly: a byte or a character that does not fit is an error,
never a question mark in a patient's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from engine.contract import Stage
from engine.formats import cns11643
from engine.formats.errors import format_error


@dataclass(frozen=True, slots=True)
class Charset:
    """``name`` is the value for MSH-18; ``codecs`` are tried in order, both ways."""

    name: str
    codecs: tuple[str, ...]
    writes: str | None = None  # what encodes, when that is narrower than what decodes

    codec: str = field(init=False)  # Python's name, also a registered one, for Payload.charset

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", self.writes or self.codecs[0])

    def decode(self, body: bytes) -> str:
        """Raises FormatError (CHARSET-DECODE) when a byte does not fit."""
        for codec in self.codecs:
            try:
                return body.decode(codec)
            except UnicodeDecodeError:
                continue
        raise format_error("CHARSET-DECODE", f"a byte of the payload does not fit {self.name}")

    def encode(self, text: str) -> bytes:
        """Raises FormatError (CHARSET-ENCODE) when a character does not exist in this set."""
        for codec in (self.writes,) if self.writes else self.codecs:
            try:
                body = text.encode(codec)
            except UnicodeEncodeError:
                continue
            # A later codec may give bytes that an earlier one reads as something else.
            if codec == self.codec or self.decode(body) == text:
                return body
        if self.writes == "gbk":
            rare = _two_byte_gb18030(text)
            if rare is not None:
                return rare
        raise format_error(
            "CHARSET-ENCODE",
            f"a character of the output does not exist in {self.name}",
            stage=Stage.MAPPING,
        )


def _two_byte_gb18030(text: str) -> bytes | None:
    """GBK's user-defined characters, which Chinese hospitals use for rare names.

    Python's gbk leaves them out and its gb18030 has them, in two bytes like all of GBK; a text
    that needs four bytes somewhere is not GBK.
    """
    try:
        body = text.encode("gb18030")
    except UnicodeEncodeError:
        return None
    wide = sum(character > "\x7f" for character in text)
    return body if len(body) == len(text) + wide else None


UTF_8: Final = Charset("UNICODE UTF-8", ("utf-8",))
ASCII: Final = Charset("ASCII", ("ascii",))
UTF_16: Final = Charset("UNICODE UTF-16", ("utf-16",))
UTF_32: Final = Charset("UNICODE UTF-32", ("utf-32",))
GB_18030: Final = Charset("GB 18030-2000", ("gb18030",))
BIG_5: Final = Charset("BIG-5", ("big5", "cp950", "big5hkscs"))
# KS X 1001 travels as EUC-KR; Windows senders mix in the syllables of code page 949.
KS_X_1001: Final = Charset("KS X 1001", ("euc_kr", "cp949"))
# ISO 2022 with escapes to JIS X 0201, 0208 and 0212; without escapes such senders mean Shift JIS.
_JAPANESE: Final = ("iso2022_jp_ext", "cp932")
JIS_X_0201: Final = Charset("ISO IR14", _JAPANESE)
JIS_X_0208: Final = Charset("ISO IR87", _JAPANESE)
JIS_X_0212: Final = Charset("ISO IR159", _JAPANESE)
# Everyone who says GB2312 or GBK means code page 936, and reads no four-byte characters.
GBK: Final = Charset("GBK", ("gb18030",), writes="gbk")
GB_2312: Final = Charset("GB2312", ("gb18030",), writes="gbk")

CNS_11643: Final = Charset("CNS 11643-1992", (cns11643.CODEC,))

_SPELLINGS: Final[dict[str, Charset]] = {
    "ASCII": ASCII,
    "USASCII": ASCII,
    "ISOIR6": ASCII,
    "ANSI": Charset("WINDOWS-1252", ("cp1252",)),
    "UNICODE": UTF_8,
    "UTF8": UTF_8,
    "UNICODEUTF8": UTF_8,
    "ISOIR192": UTF_8,
    "UTF16": UTF_16,
    "UTF16LE": UTF_16,
    "UTF16BE": UTF_16,
    "UNICODEUTF16": UTF_16,
    "UTF32": UTF_32,
    "UNICODEUTF32": UTF_32,
    "GB18030": GB_18030,
    "GB180302000": GB_18030,
    "GB180302005": GB_18030,
    "GB180302022": GB_18030,
    "GBK": GBK,
    "CP936": GBK,
    "MS936": GBK,
    "WINDOWS936": GBK,
    "GB2312": GB_2312,
    "GB23121980": GB_2312,
    "EUCCN": GB_2312,
    "ISOIR58": GB_2312,
    "BIG5": BIG_5,
    "CP950": BIG_5,
    "CNS11643": CNS_11643,
    "CNS116431992": CNS_11643,
    "EUCTW": CNS_11643,
    "KSX1001": KS_X_1001,
    "KSC5601": KS_X_1001,
    "EUCKR": KS_X_1001,
    "CP949": KS_X_1001,
    "ISOIR149": KS_X_1001,
    "ISOIR13": JIS_X_0201,
    "ISOIR14": JIS_X_0201,
    "ISOIR87": JIS_X_0208,
    "ISOIR159": JIS_X_0212,
    "JISX0202": Charset("JIS X 0202", _JAPANESE),
    "JAS2020": Charset("JAS2020", _JAPANESE),
    "ISO2022JP": Charset("JIS X 0202", _JAPANESE),
    "SHIFTJIS": Charset("SHIFT_JIS", ("cp932",)),
    "SJIS": Charset("SHIFT_JIS", ("cp932",)),
    "CP932": Charset("SHIFT_JIS", ("cp932",)),
    "EUCJP": Charset("EUC-JP", ("euc_jp",)),
    "TIS620": Charset("8859/11", ("iso8859_11",)),
    "KOI8R": Charset("KOI8-R", ("koi8_r",)),
    "LATIN1": Charset("8859/1", ("iso8859_1",)),
    "LATIN9": Charset("8859/15", ("iso8859_15",)),
}
for _part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16):
    _latin = Charset(f"8859/{_part}", (f"iso8859_{_part}",))
    for _spelling in (f"8859{_part}", f"ISO8859{_part}"):
        _SPELLINGS[_spelling] = _latin
for _registration, _part in {
    100: 1,
    101: 2,
    109: 3,
    110: 4,
    144: 5,
    127: 6,
    126: 7,
    138: 8,
    148: 9,
}.items():
    _SPELLINGS[f"ISOIR{_registration}"] = _SPELLINGS[f"8859{_part}"]
for _page in (1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258):
    for _spelling in (f"WINDOWS{_page}", f"CP{_page}"):
        _SPELLINGS[_spelling] = Charset(f"WINDOWS-{_page}", (f"cp{_page}",))

_PUNCTUATION: Final = str.maketrans("", "", " -_/.\t:")
_MULTI_BYTE: Final = (JIS_X_0201, JIS_X_0208, JIS_X_0212, GB_18030, KS_X_1001, BIG_5, UTF_8)


@lru_cache(maxsize=256)
def find_charset(name: str) -> Charset | None:
    """By a spelling of table 0211, an IANA or a Windows name; None when nobody knows it."""
    return _SPELLINGS.get(name.upper().translate(_PUNCTUATION))


@lru_cache(maxsize=256)
def declared_charset(field: str, repetition: str = "~") -> Charset | None:
    """What MSH-18 says (HL7 2.5.1 ch. 2.15.9.18); None when it is empty or unknown.

    The first repetition is the message's own set; an empty or ASCII one followed by a multi-byte
    set (``~ISO IR87``) means that the text switches to it by escapes, which that codec reads.
    """
    first, *others = (find_charset(part) for part in field.split(repetition)[:9])
    if first is None or first is ASCII or first in _MULTI_BYTE[:3]:
        for other in others:
            if other in _MULTI_BYTE:
                return other
    return first
