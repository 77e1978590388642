"""rest() and $rest: what a mapping does not read travels along."""

from __future__ import annotations

from typing import Any

import pytest

from engine.formats.hl7v2 import parse
from engine.mapping import compile_mapping
from engine.syntax import Diagnostics, read_yaml
from tests.unit.mapping.reading import CONTEXT

HEAD = "MSH|^~\\&|LAB|L|HIS|H|20240115083000||ORU^R01^ORU_R01|1|P|2.5.1"


def left(out: str, *segments: str) -> list[str]:
    """The segments of the rest but MSH, which the mapping reads."""
    text = "mapping: one\nfrom: {format: hl7v2}\nto: {format: json}\n" + out
    diagnostics = Diagnostics()
    root = read_yaml(text, "one.yaml", diagnostics)
    assert root is not None
    mapping = compile_mapping(root, diagnostics=diagnostics)
    assert mapping is not None, diagnostics.items
    message = parse("\r".join((HEAD, *segments, "")).encode())
    found: Any = mapping.apply(message, CONTEXT)
    return str(found["rest"]).split("\r")[1:-1]


@pytest.mark.parametrize(
    ("out", "segment", "wanted"),
    [
        ("{a: = PID-3.1}", "PID|1||7^8~9", "PID|1||^8~9"),
        ("{a: '= PID-3[*].1'}", "PID|1||7^8~9", "PID|1||^8"),
        ("{a: = PID-3}", "PID|1||7&x^8", "PID|1||&x^8"),
        ("{a: = PID-3 | text}", "PID|1||7&x^8~9", "PID|1||~9"),
        ("{a: '= PID-3[2].1'}", "PID|||7~8", "PID|||7~8"),  # which one is not known
        ("{a: \"= PID-3[.5 == 'MR'].1\"}", "PID|||7^^^^MR", "PID|||7^^^^MR"),
        # What is only tested or hashed is not in the output.
        ("{$if: PID-8 == 'F', a: = PID-7}", "PID|||||||1|F", "PID||||||||F"),
        ("{a: '= exists(PID-7)', b: '= PID-8 | hash'}", "PID|||||||1|F", "PID|||||||1|F"),
        ("{$case: = PID-8, $of: {F: {a: = PID-7}}}", "PID|||||||1|F", "PID||||||||F"),
        # Through variables, loops, maps and functions.
        ("{$let: {p: = PID-3}, a: = $p.2}", "PID|||1^2", "PID|||1"),
        ("{a: [{$for: 'x in PID-3[*]', b: = $x.1}]}", "PID|||1^2~3", "PID|||^2"),
        ("{a: \"= PID-3[*] | each('M', PID-5)\"}", "PID|||1^2||A^B", "PID|||1||^B"),
        ("{$use: M, $with: {x: = PID-3, y: = PID-5}}", "PID|||1^2||A^B", "PID|||1||^B"),
        ("{a: [{$for: \"o in group('PID')\", b: = $o.PID-3}]}", "PID|||1|2", "PID||||2"),
        ("{a: = PID-3.1 ?? PID-4}", "PID|||1|2|3", "PID|||||3"),
        ("{a: = PID-3 + PID-4}", "PID|||1|2|3", "PID|||||3"),
        ("{a: '= list(PID-3, PID-4) | join(1)'}", "PID|||1|2|3", "PID|||||3"),
    ],
)
def test_what_is_read_is_not_left(out: str, segment: str, wanted: str) -> None:
    maps = "\nmaps: {M: {args: [x, y], out: {c: = $x.2, d: = $y}}}\n"
    text = f"out: {{rest: = rest(), v: {out}}}" + (maps if "M" in out else "")
    assert left(text, segment) == [wanted]


ORU = (
    "PID|1", "NTE|1||patient", "OBR|1", "NTE|1||order", "OBX|1||a", "NTE|1||result",
    "NTE|2||more", "OBR|2", "OBX|1||b",
)  # fmt: skip


@pytest.mark.parametrize(
    ("out", "wanted"),
    [
        # Only the order's notes, or only the results', or those of one loop in another.
        (
            "[{$for: 'o in ORDER_OBSERVATION[*]', b: '= $o.NTE[*]-3'}]",
            "NTE|1||patient NTE|1 NTE|1||result NTE|2||more",
        ),
        (
            "[{$for: 'o in ORDER_OBSERVATION[*]', b: "
            "{$for: 'x in $o.OBSERVATION[*]', c: = NTE-3}}]",
            "NTE|1||patient NTE|1||order NTE|1 NTE|2||more",
        ),
        (
            "[{$for: 'x in OBSERVATION[*]', b: '= NTE[*]-3'}]",
            "NTE|1||patient NTE|1||order NTE|1 NTE|2",
        ),
        # A group that does not have the segment: the nearest around it.
        ("[{$for: 'x in OBSERVATION[*]', b: = OBR-1}]", "OBR OBR"),
        # The whole message.
        ("= NTE-3", "NTE|1 NTE|1||order NTE|1||result NTE|2||more"),
        ("'= NTE[*]-3'", "NTE|1 NTE|1 NTE|1 NTE|2"),
        ("[{$for: \"o in group('OBR')\", b: = NTE-3}]", "NTE|1 NTE|1 NTE|1 NTE|2"),
        # Two places: what either reads.
        (
            "[{$for: 'o in ORDER_OBSERVATION[*]', b: '= $o.NTE[*]-3'}, '= NTE-1']",
            "NTE|||patient NTE|1 NTE|1||result NTE|2||more",
        ),
    ],
)
def test_segments_are_told_apart_by_their_groups(out: str, wanted: str) -> None:
    found = left(f"out: {{rest: = rest(), v: {out}}}", *ORU)
    name = wanted[:3]
    assert [line for line in found if line.startswith(name)] == wanted.split()


def test_a_named_field_is_left_although_it_is_read() -> None:
    assert left("out: {rest: \"= rest('PID-3')\", a: = PID-3, b: = PID-4}", "PID|||1|2") == [
        "PID|||1"
    ]
