"""CNS 11643-1992 (HL7 table 0211) in its wire form EUC-TW, which Python has no codec for.

Planes 1 and 2 hold the characters of Big5 in nearly the same order: long runs of both follow each
other, so a table of runs says it all.  The other planes hold rare characters that Big5 lacks;
they are refused like any byte that does not fit.

Importing this module registers the codec under the name ``euc_tw``.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Any, Final

CODEC: Final = "euc_tw"

# First place in the plane, first place in Big5 (157 to a row), how many follow each other.
# fmt: off
_PLANE_1: Final = (
    (0, 0, 5), (6, 6, 8), (15, 15, 6), (21, 23, 2), (24, 22, 1), (29, 29, 44), (73, 74, 1),
    (74, 73, 1), (75, 75, 22), (98, 98, 1), (100, 100, 27), (127, 128, 1), (128, 127, 1),
    (129, 129, 19), (148, 149, 1), (149, 148, 1), (150, 150, 4), (155, 21, 1), (156, 158, 2),
    (160, 160, 1), (162, 162, 1), (165, 165, 69), (282, 234, 29), (312, 264, 1), (314, 266, 142),
    (470, 6101, 20), (3290, 471, 1412), (4702, 1884, 424), (5126, 1883, 1), (5127, 2308, 1876),
    (7003, 4571, 1), (7004, 4184, 387), (7391, 4572, 525), (7916, 5286, 1), (7917, 5097, 105),
    (8023, 5203, 83), (8106, 5287, 84), (8190, 5517, 1), (8191, 5371, 54), (8245, 5426, 1),
    (8246, 5425, 1), (8247, 5427, 90), (8337, 5518, 354),
)
_PLANE_2: Final = (
    (0, 6280, 10), (10, 6291, 33), (43, 6372, 1), (44, 6324, 48), (92, 6373, 46), (138, 6586, 1),
    (139, 6419, 167), (306, 6587, 1840), (2146, 9074, 1), (2147, 8428, 108), (2255, 8537, 537),
    (2792, 8427, 1), (2793, 9075, 100), (2893, 8536, 1), (2894, 9175, 399), (3293, 9575, 1637),
    (4930, 11761, 1), (4931, 11212, 146), (5077, 11899, 1), (5078, 11358, 287), (5365, 12508, 1),
    (5366, 11645, 116), (5482, 11762, 137), (5619, 11900, 104), (5723, 12425, 1),
    (5724, 12004, 222), (5946, 12227, 198), (6144, 12426, 82), (6226, 12509, 86), (6312, 12226, 1),
    (6313, 12595, 8), (6321, 12604, 153), (6474, 12758, 56), (6530, 13114, 1), (6531, 12814, 113),
    (6644, 12603, 1), (6645, 12927, 142), (6787, 12757, 1), (6788, 13069, 45), (6833, 13115, 71),
    (6904, 13380, 1), (6905, 13186, 194), (7099, 13381, 490), (7589, 13914, 1), (7590, 13871, 43),
    (7633, 13915, 1), (7634, 13917, 11), (7645, 13916, 1), (7646, 13928, 4),
)
# fmt: on
_PLANES: Final = ((b"", _PLANE_1), (b"\x8e\xa2", _PLANE_2))
_UNITS: Final = re.compile(rb"[\x00-\x7f]+|(?:\x8e[\xa1-\xb0])?[\xa1-\xfe]{2}")


@lru_cache(maxsize=1)
def _characters() -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for prefix, runs in _PLANES:
        for first, place, count in runs:
            for offset in range(count):
                row, column = divmod(first + offset, 94)
                found[prefix + bytes((row + 0xA1, column + 0xA1))] = _big5(place + offset)
    # Plane 1 has a long form as well.
    found |= {b"\x8e\xa1" + unit: text for unit, text in found.items() if len(unit) == 2}
    return found


@lru_cache(maxsize=1)
def _bytes() -> dict[str, bytes]:
    return {text: unit for unit, text in reversed(_characters().items())}


def _big5(place: int) -> str:
    row, column = divmod(place, 157)
    unit = bytes((row + 0xA1, column + (0x40 if column < 63 else 0x62)))
    try:
        return unit.decode("big5")
    except UnicodeDecodeError:
        return unit.decode("cp950")


def _decode(body: Any, errors: str = "strict") -> tuple[str, int]:
    body = bytes(body)
    characters = _characters()
    pieces: list[str] = []
    at = 0
    for match in _UNITS.finditer(body):
        unit = match[0]
        text = unit.decode("ascii") if unit[0] < 0x80 else characters.get(unit)
        if text is None or match.start() != at:
            break
        pieces.append(text)
        at = match.end()
    if at != len(body):
        raise UnicodeDecodeError(CODEC, body, at, at + 1, "not in planes 1 and 2")
    return "".join(pieces), at


def _encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
    units = _bytes()
    pieces: list[bytes] = []
    for at, character in enumerate(text):
        unit = character.encode() if character < "\x80" else units.get(character)
        if unit is None:
            raise UnicodeEncodeError(CODEC, text, at, at + 1, "not in planes 1 and 2")
        pieces.append(unit)
    return b"".join(pieces), len(text)


def _find(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(_encode, _decode, name=CODEC) if name == CODEC else None


codecs.register(_find)
