"""Payloads leaf by leaf, and what differs between two of them."""

from __future__ import annotations

import pytest

from engine.contract import Payload
from engine.formats.leaves import changes, leaves


@pytest.mark.parametrize(
    ("body", "format", "expected"),
    [
        (
            b'{"a":[{"b":1.50},true,null],"c":"x"}',
            "json",
            {"a[1].b": "1.50", "a[2]": "true", "a[3]": "null", "c": "x"},
        ),
        (
            b"MSH|^~\\&|A||B\rPID|1||77^^^A\rOBX|1\rOBX|2||x\r",
            "hl7v2",
            {
                "MSH-2": "^~\\&", "MSH-3": "A", "MSH-5": "B", "PID-1": "1", "PID-3": "77^^^A",
                "OBX-1": "1", "OBX[2]-1": "2", "OBX[2]-3": "x",
            },
        ),
        (b"<a>\n\n<b/>", "xml", {"line 1": "<a>", "line 3": "<b/>"}),
        (b"{no json", "json", {"line 1": "{no json"}),
    ],
)  # fmt: skip
def test_leaves(body: bytes, format: str, expected: dict[str, str]) -> None:
    assert leaves(Payload(body), format) == expected


def test_changes_keep_the_order_and_say_what_is_missing() -> None:
    assert changes({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == (
        ("a", "1", None),
        ("c", "3", "4"),
        ("d", None, "5"),
    )
