"""Batches are split into messages, each with its own bytes."""

from __future__ import annotations

import time

import pytest

from engine.contract import FormatError
from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.batch import is_batch, split_batch

ONE = b"MSH|^~\\&|A|||||||1|P|2.5\rPID|1||MSH|FHS\r"
TWO = b"MSH|^~\\&|A|||||||2|P|2.5\rNTE|1||text\r"


@pytest.mark.parametrize(
    "body",
    [
        ONE + TWO,
        b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + TWO + b"BTS|2\rFTS|1\r",
        b"FHS|^~\\&|A\r" + ONE + TWO + b"FTS|1\r",
        b"BHS|^~\\&|A\r" + ONE + b"BTS|1\rBHS|^~\\&|A\r" + TWO + b"BTS|1||x",
        b"\xef\xbb\xbf\r\n" + ONE + TWO,
        b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r",
    ],
)
def test_every_form_of_batch_is_split(body: bytes) -> None:
    batch = split_batch(body)
    assert batch.messages == (ONE, TWO)
    assert batch.complete
    assert is_batch(body)
    assert [parse(message).control_id for message in batch.messages] == ["1", "2"]


def test_a_single_message_is_a_batch_of_one() -> None:
    assert split_batch(ONE).messages == (ONE,)
    assert not is_batch(ONE)
    assert not is_batch(b"")


def test_a_cut_file_is_noticed() -> None:
    batch = split_batch(b"BHS|^~\\&|A\r" + ONE + b"BTS|2\r")
    assert batch.declared == 2
    assert not batch.complete


def test_line_feeds_and_utf_16() -> None:
    text = (ONE + TWO).decode().replace("\r", "\n").replace("text", "珅")
    first, second = split_batch(text.encode("utf-16")).messages
    assert parse(first).get("PID-3") == "MSH"
    assert parse(second).get("NTE-3") == "珅"


@pytest.mark.parametrize("body", [b"", b"PID|1\r" + ONE, b"hello", b"\x00\x00\x00\x00"])
def test_what_is_no_batch_is_an_error(body: bytes) -> None:
    with pytest.raises(FormatError):
        split_batch(body)


@pytest.mark.parametrize("filler", [b"\r", b"\n", b"\x0b", b"\x0b\r", b" ", b"\r ", b"MSH"])
def test_garbage_takes_linear_time(filler: bytes) -> None:
    body = ONE + filler * (400_000 // len(filler))
    started = time.process_time()
    split_batch(body)
    assert parse(body).get("PID-1") == "1"
    assert time.process_time() - started < 5
