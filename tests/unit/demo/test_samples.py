"""The messages of the simulated hospital: which are sent, and what is changed in them."""

from __future__ import annotations

import itertools
from pathlib import Path

from engine.demo.samples import (
    ADMISSIONS,
    RESULTS,
    SHIPPED,
    base36,
    control_id_in,
    load_samples,
    read_sample,
    run_prefix,
    stream,
)

HEADER = b"MSH|^~\\&|A|B|C|D|20260301||ADT^A01^ADT_A01|OLD|P|2.5.1"
MESSAGE = HEADER + b"\rPID|1||77^^^X~88\rPV1|1|I\r"


def test_only_the_control_id_is_changed() -> None:
    sample = read_sample(MESSAGE)
    assert sample is not None
    assert sample.stamped("NEW") == MESSAGE.replace(b"OLD", b"NEW")
    assert (sample.type, sample.patient) == ("ADT^A01", ["77", "", "", "X~88"][0])


def test_line_ends_and_the_byte_order_mark_become_those_of_the_wire() -> None:
    sample = read_sample(b"\xef\xbb\xbf" + MESSAGE.replace(b"\r", b"\r\n"))
    assert sample is not None
    assert sample.stamped("OLD") == MESSAGE


def test_other_delimiters_are_read() -> None:
    sample = read_sample(MESSAGE.replace(b"|", b"#").replace(b"^", b"@"))
    assert sample is not None
    assert (sample.type, sample.patient) == ("ADT^A01", "77")
    assert b"#NEW#P#" in sample.stamped("NEW")


def test_what_a_careful_sender_would_not_send_is_left_out() -> None:
    assert read_sample(b"") is None
    assert read_sample(b"BHS|^~\\&|A\r" + MESSAGE) is None
    assert read_sample(MESSAGE.replace(b"|OLD|", b"||")) is None
    assert read_sample(MESSAGE.replace(b"77^^^X~88", b"")) is None
    assert read_sample(MESSAGE.replace(b"2.5.1", b"2.5.1|||NE|NE")) is None
    assert read_sample(MESSAGE.replace(b"2.5.1", b"2.5.1|||AL|NE")) is not None


def test_the_shipped_samples_are_all_sent() -> None:
    shipped = len(list(SHIPPED.glob("*.hl7")))
    without = Path("/nowhere/at/all")
    found = [*load_samples(without, ADMISSIONS), *load_samples(None, RESULTS)]
    assert len(found) == shipped == 5


def test_control_ids_are_unique_fit_msh_10_and_are_found_again() -> None:
    messages = list(itertools.islice(stream(load_samples(None, RESULTS), run_prefix(), "L"), 20))
    ids = {message.control_id for message in messages}
    assert len(ids) == 20
    assert all(len(control_id) == 20 for control_id in ids)
    assert all(control_id_in(message.body) == message.control_id for message in messages)
    assert control_id_in(b"nothing of ours") is None


def test_base36_has_seven_places() -> None:
    assert base36(0) == "0000000"
    assert base36(36**7 - 1) == "ZZZZZZZ"
