"""Framing: any message in any pieces comes out as it went in, and any bytes do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mllp.framing import (
    HEAD,
    JUNK_LIMIT,
    Deframer,
    Frame,
    FramingError,
    Oversize,
    frame,
)

LIMIT = 300


def fed(data: bytes, size: int, limit: int = LIMIT) -> list[Frame]:
    deframer = Deframer(limit)
    frames: list[Frame] = []
    for start in range(0, len(data), size):
        frames += deframer.feed(data[start : start + size])
    return frames


SIZES = (1, 2, 3, 7, 10_000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "body", [b"", b"x", b"\x0b", b"\x1c", b"\x1c ", b"a\x0bb\x1cc\rd", bytes(range(256)), b"\r"]
)
def test_message_comes_out_as_it_went_in(body: bytes, size: int) -> None:
    if body.endswith(b"\x1c"):
        # FS FS CR: the first FS is content, since neither CR nor VT follows it.
        assert fed(frame(body), size) == [body]
    assert fed(frame(body) + frame(b"next"), size) == [body, b"next"]


@pytest.mark.parametrize("size", SIZES)
def test_missing_cr(size: int) -> None:
    assert fed(b"\x0bone\x1c\x0btwo\x1c\r", size) == [b"one", b"two"]


def test_missing_cr_at_the_end() -> None:
    deframer = Deframer(LIMIT)
    assert deframer.feed(b"\x0bone\x1c") == []
    assert deframer.at_end_mark
    assert deframer.finish() == [b"one"]
    assert not deframer.unfinished
    assert deframer.feed(b"\r\x0btwo\x1c\r") == [b"two"]  # the CR came after all
    assert deframer.feed(b"\x0bthree") == []
    assert deframer.finish() == []
    assert deframer.unfinished


@pytest.mark.parametrize("size", SIZES)
def test_junk_between_frames(size: int) -> None:
    data = b"junk" + frame(b"one") + b"\r\n\x00" * 5000 + b"more junk" + frame(b"two")
    assert fed(data, size) == [b"one", b"two"]


def test_too_much_junk() -> None:
    deframer = Deframer(LIMIT)
    deframer.feed(b"j" * JUNK_LIMIT)
    assert deframer.feed(frame(b"in time")) == [b"in time"]
    with pytest.raises(FramingError):
        deframer.feed(b"j" * (JUNK_LIMIT + 1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", [0, 1, 2, 5000])
def test_oversize(size: int, more: int) -> None:
    body = b"MSH" + b"x" * (LIMIT - 3 + more)
    frames = fed(frame(body) + frame(b"next"), size)
    assert frames[1] == b"next"
    if more == 0:
        assert frames[0] == body
    else:
        refused = frames[0]
        assert isinstance(refused, Oversize)
        assert refused.size == len(body)
        assert body.startswith(refused.head)
        assert len(refused.head) <= HEAD


def test_oversize_with_marks_inside() -> None:
    body = b"\x1cx" * LIMIT + b"\x1c"
    for size in SIZES:
        (refused,) = fed(frame(body), size)
        assert isinstance(refused, Oversize)
        assert refused.size == len(body)


def test_oversize_is_not_kept() -> None:
    deframer = Deframer(LIMIT)
    deframer.feed(b"\x0b")
    for _ in range(1000):
        deframer.feed(b"x" * 1000)
        assert len(deframer._buffer) <= LIMIT + 1
    assert "xx" not in repr(deframer.feed(b"\x1c\r"))


def test_cannot_be_framed() -> None:
    with pytest.raises(ValueError, match="0x1C 0x0D"):
        frame(b"a\x1c\rb")


bodies = (
    st.binary(max_size=80)
    .map(lambda body: body.replace(b"\x1c\r", b""))
    .filter(lambda body: b"\x1c\r" not in body and b"\x1c\x0b" not in body)
)


@given(st.lists(bodies, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=30))
@settings(max_examples=150)
def test_any_messages_in_any_pieces(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frame(body) for body in messages)
    deframer = Deframer(LIMIT)
    got: list[Frame] = []
    at = turn = 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        got += deframer.feed(data[at : at + size])
        at += size
        turn += 1
    assert got == messages


marks = st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\x1c\r", b"MSH|", b"\x00"])


@given(st.lists(st.one_of(marks, st.binary(max_size=60)), max_size=60), st.integers(0, 40))
@settings(max_examples=200)
def test_any_bytes_do_no_harm(pieces: list[bytes], limit: int) -> None:
    deframer = Deframer(limit)
    total = 0
    for piece in pieces:
        try:
            frames = deframer.feed(piece)
        except FramingError:
            return
        total += sum(item.size if isinstance(item, Oversize) else len(item) for item in frames)
        assert all(len(item) <= limit for item in frames if isinstance(item, bytes))
        assert len(deframer._buffer) <= limit + 1
    deframer.finish()
    assert total <= sum(map(len, pieces))


@given(st.lists(st.one_of(marks, st.binary(max_size=60)), max_size=40))
@settings(max_examples=100)
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    whole = Deframer(LIMIT).feed(data)
    cut = Deframer(LIMIT)
    parts = [item for piece in pieces for item in cut.feed(piece)]
    assert parts == whole
