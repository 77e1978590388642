"""The messages that the simulated HIS and LIS send.

They come from a folder of corpora when there is one, else from the samples shipped beside this
module.  Each message sent gets a control id (MSH-10) that is unique for all runs; nothing else in
it is touched, so charsets and oddities stay as they were.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.demo.sender import Outgoing

SHIPPED: Final = Path(__file__).parent / "samples"
ADMISSIONS: Final = frozenset({"ADT^A01", "ADT^A04", "ADT^A08"})
RESULTS: Final = frozenset({"ORU^R01"})
CONTROL_ID: Final = re.compile(rb"DEMO[0-9A-Z]{7}[HL]\d{8}")
"""What `stamped` writes into MSH-10: 20 characters, the most that HL7 v2.5 allows."""

_LARGEST = 64 * 1024
_UNANSWERED = (b"NE", b"ER")  # MSH-15: the sender wants no answer to a good message


@dataclass(frozen=True, slots=True)
class Sample:
    """One message as it came, cut at its MSH-10."""

    type: str
    patient: str
    head: bytes = field(repr=False)
    tail: bytes = field(repr=False)

    def stamped(self, control_id: str) -> bytes:
        return self.head + control_id.encode() + self.tail


def read_sample(body: bytes) -> Sample | None:
    """None for what a careful sender would not send: no MSH, no control id, no patient, or a
    wish for no answer."""
    body = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\r").replace(b"\n", b"\r").strip()
    header, _, rest = body.partition(b"\r")
    if not header.startswith(b"MSH") or len(body) > _LARGEST:
        return None
    separator = header[3:4]
    fields = header.split(separator)
    wishes = [wish for wish in fields[14:16] if wish]
    if len(fields) < 12 or not fields[9] or (wishes and wishes[0] in _UNANSWERED):
        return None
    patient = next((line for line in rest.split(b"\r") if line.startswith(b"PID" + separator)), b"")
    identifiers = patient.split(separator)[3:4]
    if not identifiers or not identifiers[0]:
        return None
    kind = fields[8].replace(header[4:5], b"^").split(b"^")
    return Sample(
        type=b"^".join(kind[:2]).decode("ascii", "replace"),
        patient=identifiers[0].split(header[4:5])[0].decode("utf-8", "replace"),
        head=separator.join(fields[:9]) + separator,
        tail=separator + separator.join(fields[10:]) + b"\r" + rest + b"\r",
    )


def load_samples(corpora: Path | None, types: frozenset[str]) -> Sequence[Sample]:
    """Every fitting message of the corpora, or of the shipped samples when that folder is
    missing; in the order of their paths."""
    found = _fitting(corpora, types) if corpora is not None and corpora.is_dir() else []
    return found or _fitting(SHIPPED, types)


def _fitting(folder: Path, types: frozenset[str]) -> list[Sample]:
    bodies = (path.read_bytes() for path in sorted(folder.rglob("*.hl7")))
    samples = (read_sample(body) for body in bodies)
    return [sample for sample in samples if sample is not None and sample.type in types]


def run_prefix() -> str:
    """What the control ids of one run begin with; made of the time, so no two runs share it."""
    return f"DEMO{base36(int(time.time() * 10) % 36**7)}"


def stream(samples: Sequence[Sample], prefix: str, system: str) -> Iterator[Outgoing]:
    """The samples in turn, for ever.  ``system`` is one capital letter, H or L."""
    for number, sample in enumerate(itertools.cycle(samples)):
        control_id = f"{prefix}{system}{number % 10**8:08d}"
        yield Outgoing(control_id, sample.patient, sample.stamped(control_id))


def base36(number: int) -> str:
    """Seven capital letters and digits."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ""
    for _ in range(7):
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    return text


def control_id_in(body: bytes) -> str | None:
    """The demo's control id in whatever a mapping made of the message."""
    match = CONTROL_ID.search(body)
    return match[0].decode() if match else None
