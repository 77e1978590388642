"""What nobody read of a message, and how it is put back."""

from __future__ import annotations

import pytest

from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.rest import (
    EVERYTHING,
    FieldReads,
    Instances,
    Rest,
    SegmentReads,
    put_back,
    rest_of,
)

HEAD = "MSH|^~\\&|A|B"


def rest(reads: dict[str, SegmentReads], *lines: str, head: str = HEAD) -> str | None:
    places = {Instances(name): read for name, read in reads.items()}
    return rest_of(parse("\r".join([head, *lines, ""]).encode()), places)


def fields(**numbers: FieldReads) -> SegmentReads:
    return SegmentReads(fields={int(name[1:]): reads for name, reads in numbers.items()})


MSH_READ = fields(n3=FieldReads(every={(1, 1)}), n4=FieldReads(every={(1, 1)}))


def test_leaves_that_are_read_are_taken_out_and_nothing_else() -> None:
    reads = {
        "MSH": MSH_READ,
        "PID": fields(
            n3=FieldReads(first={(1, 1), (4, 2)}), n5=FieldReads(every={(1, EVERYTHING)})
        ),
    }
    found = rest(reads, "PID|1||7^^^H&1.2^MR~8|x|A&B^C~D", "ZZ1|a")
    assert found == "MSH|^~\\&\rPID|1||^^^H^MR~8|x|^C\rZZ1|a\r"


def test_the_other_repetitions_are_left_when_only_the_first_is_read() -> None:
    reads = {"MSH": MSH_READ, "PID": fields(n3=FieldReads(first={(EVERYTHING, EVERYTHING)}))}
    assert rest(reads, "PID|||1^2~3^4") == "MSH|^~\\&\rPID|||~3^4\r"


def test_nothing_is_left_of_a_message_that_is_read_whole() -> None:
    assert rest({"MSH": MSH_READ, "NTE": SegmentReads(whole=True)}, "NTE|1||x", "NTE|2") is None


def test_a_message_with_other_delimiters_has_no_rest() -> None:
    assert rest({}, "PID#1", head="MSH#^~\\&#A") is None


@pytest.mark.parametrize(
    ("own", "left", "wanted"),
    [
        (["PID|1||7"], ["PID|||^^^H"], ["PID|1||7^^^H"]),
        (["PID|1||7"], ["PID|2||8~9&1"], ["PID|1||7~9&1"]),
        (["OBX|1", "OBX|2"], ["OBX", "OBX|||x"], ["OBX|1", "OBX|2||x"]),
        # The mapping writes NTE: one that is missing was left out on purpose.
        (["OBX|1"], ["OBX", "NTE|1||x"], ["OBX|1"]),
        (["OBR|1", "OBX|1"], ["OBR", "ZZ1|a", "ZZ2|b", "OBX", "ZZ3|c"],
         ["OBR|1", "ZZ1|a", "ZZ2|b", "OBX|1", "ZZ3|c"]),
        (["OBR|1"], ["OBR", "ZZ1"], ["OBR|1"]),
    ],
)  # fmt: skip
def test_the_rest_fills_what_is_empty(own: list[str], left: list[str], wanted: list[str]) -> None:
    segments = [(line[:3], line.split("|")) for line in [HEAD.replace("MSH|", "MSH||"), *own]]
    text = "\r".join(["MSH|^~\\&||||X", *left, ""])
    header, *others = put_back(segments, Rest(text, frozenset({"NTE", "PID", "OBR", "OBX"})))
    assert header[1][6] == "X"
    assert ["|".join(parts) for _, parts in others] == wanted
