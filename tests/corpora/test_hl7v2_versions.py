"""Public messages brought to another version and back: what both versions have is still there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract import FormatError
from engine.formats.hl7v2 import Hl7Message, Segment, parse
from engine.formats.hl7v2.versions import NONE_LOST, losses
from engine.mapping import Converter

ROOT = Path(__file__).parents[2]
REWRITTEN = {("OBX", 2), ("MSH", 9), ("MSH", 12), ("MSH", 18)}
"""What says which version it is, or in which characters."""


@pytest.fixture(scope="module")
def converter() -> Converter:
    return Converter(ROOT / "mappings")


def leaves(segment: Segment, versions: tuple[str, str]) -> Iterator[tuple[str, int, int, int, str]]:
    """The sub-components that both versions have, without what only says which one it is."""
    own = segment.separators
    lost = [losses(segment.name, version) for version in versions]
    if None in lost:
        return
    for number in range(3 if segment.name == "MSH" else 1, len(segment.fields)):
        gone = [less.get(number, {}) for less in lost if less is not None]
        if (segment.name, number) in REWRITTEN or None in gone:
            continue
        for repetition in segment.field(number).split(own.repetition):
            for at, part in enumerate(repetition.split(own.component), start=1):
                parts = [less.get(at, NONE_LOST) for less in gone if less is not None]
                for sub, raw in enumerate(part.split(own.subcomponent), start=1):
                    text = own.unescape(raw).strip()
                    if text and not any(one is None or sub in one for one in parts):
                        yield segment.name, number, at, sub, text


def counted(
    message: Hl7Message, versions: tuple[str, str]
) -> Counter[tuple[str, int, int, int, str]]:
    return Counter(leaf for segment in message.all for leaf in leaves(segment, versions))


@pytest.mark.parametrize(
    ("own", "there", "back", "versions"),
    [
        (("2.5", "2.5.1"), "28", "251", ("2.5.1", "2.8")),
        (("2.3", "2.2"), "251", "23", ("2.3", "2.5.1")),
        (("2.7", "2.8", "2.6"), "251", "28", ("2.5.1", "2.8")),
    ],
)
def test_nothing_that_both_have_is_lost(
    converter: Converter,
    hl7v2_files: list[Path],
    own: tuple[str, ...],
    there: str,
    back: str,
    versions: tuple[str, str],
) -> None:
    expected = kept = messages = 0
    for path in hl7v2_files:
        try:
            message = parse(path.read_bytes())
        except FormatError:
            continue  # a batch, or no message: see test_hl7v2_messages
        if message.version not in own:
            continue
        messages += 1
        body = path.read_bytes()
        for step in (there, back):
            body = converter.convert(body, "hl7v2", mapping=f"versions/hl7v2-to-{step}").body
        before, after = counted(message, versions), counted(parse(body), versions)
        expected += before.total()
        kept += (before & after).total()
    # Without the corpora there are a few samples, of other versions maybe.
    assert messages or "corpora" not in str(hl7v2_files[0])
    assert kept == expected
