"""Every public message is read, given back exactly, answered, and read as python-hl7 reads it."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import hl7

from engine.contract import FormatError, MessageId, Outcome, Receipt
from engine.formats.hl7v2 import Hl7Message, parse
from engine.formats.hl7v2.acknowledgement import acknowledge, read_acknowledgement
from engine.formats.hl7v2.batch import split_batch

NOW = datetime(2026, 3, 1, tzinfo=UTC)
# Not one message each: they are refused until somebody splits them.
BATCHES = {"dft-example.hl7": "HL7-SEVERAL", "realm-bad-batch.hl7": "HL7-BATCH"}


def test_every_message_parses_or_says_why_not(hl7v2_files: list[Path]) -> None:
    refused: dict[str, str] = {}
    for path in hl7v2_files:
        body = path.read_bytes()
        started = time.process_time()
        try:
            message = parse(body)
        except FormatError as error:
            refused[path.name] = error.info.code
        else:
            assert message.to_bytes() == body, path
            for segment in message.all:
                segment.edited = True
            assert message.to_bytes() == body, path
        assert time.process_time() - started < 1, path
    assert refused == {
        path.name: BATCHES[path.name] for path in hl7v2_files if path.name in BATCHES
    }


def test_batches_are_split_into_readable_messages(hl7v2_files: list[Path]) -> None:
    for path in hl7v2_files:
        messages = split_batch(path.read_bytes()).messages
        assert len(messages) == (2 if path.name in BATCHES else 1), path
        for body in messages:
            parse(body)


def test_every_message_is_answered(hl7v2_files: list[Path]) -> None:
    codes: Counter[str] = Counter()
    for path in hl7v2_files:
        body = path.read_bytes()
        message: Hl7Message | None
        try:
            message = parse(body)
            receipt = Receipt(Outcome.ACCEPTED, MessageId("m"))
        except FormatError as error:
            message = None
            receipt = Receipt(Outcome.REJECTED, error=error.info)
        answer = acknowledge(message, receipt, now=NOW, control_id="1", body=body)
        if answer is None:
            assert b"|NE" in body, path
            codes["none"] += 1
            continue
        read = read_acknowledgement(answer)
        codes[read.code] += 1
        if message is not None:
            assert read.control_id == message.control_id.strip(), path
    assert set(codes) <= {"AA", "CA", "AR", "CR", "none"}


def test_python_hl7_reads_the_same_fields(hl7v2_files: list[Path]) -> None:
    compared = 0
    for path in hl7v2_files:
        if path.name in BATCHES:
            continue
        message = parse(path.read_bytes())
        if message.segments("MSH")[0].field(2) != message.separators.encoding_characters:
            continue  # python-hl7 takes a doubled escape character for a delimiter
        # python-hl7 knows no continued lines: it is given the message as we understand it.
        text = "\r".join(
            segment.text().replace("\r\n", "\n").replace("\r", "\n") for segment in message.all
        )
        # The last segment is ours: python-hl7 strips what ends the text.
        theirs = hl7.parse(f"{text}\rZZZ|end")[:-1]
        assert len(theirs) == len(message.all), path
        for ours, other in zip(message.all, theirs, strict=True):
            assert ours.name == str(other[0])
            fields = [field.replace("\r\n", "\n").replace("\r", "\n") for field in ours.fields]
            assert fields == [str(field) for field in other], path
            compared += len(fields)
    assert compared > 40 * len(hl7v2_files)


def test_python_hl7_reads_the_same_components(hl7v2_files: list[Path]) -> None:
    paths = [
        (name, field, repetition, component)
        for name, fields in {
            "PID": (3, 5, 11),
            "PV1": (3, 7, 19),
            "OBX": (3, 5),
            "OBR": (4,),
        }.items()
        for field in fields
        for repetition in (1, 2)
        for component in (1, 2, 4)
    ]
    compared = 0
    for path in hl7v2_files:
        if path.name in BATCHES:
            continue
        message = parse(path.read_bytes())
        if message.header.field(2) != message.separators.encoding_characters:
            continue
        theirs = hl7.parse("\r".join(segment.text() for segment in message.all))
        if len(theirs) != len(message.all):
            continue  # continued lines
        for name, field, repetition, component in paths:
            ours = message.get(f"{name}-{field}[{repetition}].{component}")
            try:
                other = theirs.extract_field(name, 1, field, repetition, component, 1)
            except (LookupError, KeyError):
                other = ""
            raw = message.segment(name)
            if raw is None or "\\" in raw.field(field):
                continue
            assert ours == (other or None), f"{path}: {name}-{field}"
            compared += ours is not None
    assert compared > 2 * len(hl7v2_files)
