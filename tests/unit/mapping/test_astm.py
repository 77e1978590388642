"""ASTM records of analysers: read by paths, walked by groups, and written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import FormatError, Payload
from engine.formats import FORMATS, AstmMessage
from engine.mapping import explain
from tests.unit.mapping.reading import CONTEXT, mapped, mapping, value

ASTM = FORMATS["astm"]
LINES = (
    "H|\\^&|M1||XN-20^00-01|||||LIS||P|1|20240115",
    "P|1||4711||Li&S&Na^张三||19610615|F",
    "O|1|S-77^4||^^^WBC\\^^^RBC|R",
    "R|1|^^^WBC^1|6.20|10*9/L||N||F",
    "C|1|I|first",
    "R|2|^^^RBC|4.5|10*12/L||N||F",
    "O|2|S-78||^^^CRP|R",
    "R|1|^^^CRP|>100|mg/L||H||F",
    "L|1|N",
)
BODY = "\r".join([*LINES, ""]).encode()
MESSAGE = ASTM.parse(Payload(BODY))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("H-3", "M1"),
        ("H-5.1", "XN-20"),
        ("P-1", "P"),
        ("P-2", "1"),
        ("P-4", "4711"),
        ("P-6.1", "Li^Na"),
        ("P-6.2", "张三"),
        ("P-8 | date", "1961-06-15"),
        ("R[*]-4", ["6.20", "4.5", ">100"]),
        ("R[2]-3.4", "RBC"),
        ("R[.7 == 'H']-4", ">100"),
        ("O-5[*].4", ["WBC", "RBC"]),
        ("O[last]-3", "S-78"),
        ("count(R[*])", 3),
        ("M-3", None),
        ("P-40", None),
    ],
)
def test_paths(path: str, expected: Any) -> None:
    assert value(path, MESSAGE) == expected


def test_groups_of_orders() -> None:
    out = """
out:
  - $for: o in group('O')
    specimen: = O-3.1
    patient: = P-4
    results:
      - $for: r in $o.R[*]
        code: = $r.3.4
        value: = $r.4
    notes: = $o.C[*]-4
"""
    assert mapped(out, MESSAGE, "json") == [
        {"specimen": "S-77", "patient": "4711", "notes": ["first"],
         "results": [{"code": "WBC", "value": "6.20"}, {"code": "RBC", "value": "4.5"}]},
        {"specimen": "S-78", "patient": "4711", "results": [{"code": "CRP", "value": ">100"}]},
    ]  # fmt: skip
    (leaf, *_) = explain(mapping(out, "astm", "json"), MESSAGE, CONTEXT)
    assert [source.path for source in leaf.sources] == ["O-3.1"]


def test_bytes_keys_and_frames() -> None:
    assert ASTM.write(MESSAGE).body == BODY
    assert (ASTM.key(MESSAGE), ASTM.control_id(MESSAGE)) == ("results", "M1")
    framed = b"\x05\x021H|@^!|Q1\r\x03A1\r\n\x022Q|1|^S-7\x177F\r\n\x0237^x||ALL\r\x0300\r\n\x04"
    query = ASTM.parse(Payload(framed))
    assert (ASTM.key(query), value("Q-3.2", query)) == ("query", "S-77")
    assert ASTM.write(query).body == framed
    gbk = Payload("H|\\^&\rP|1||||张三\r".encode("gbk"))
    assert value("P-6", ASTM.parse(gbk, charset="gbk")) == "张三"
    assert "张三".encode() in ASTM.write(ASTM.parse(gbk, charset="gbk"), charset="utf-8").body


def test_writing() -> None:
    out = """
out:
  H: {5: {1: CAREBUS}, 12: P, 13: '1'}
  patients:
    - P: {4: = P-4, 6: {1: = P-6.1, 2: = P-6.2}}
      orders:
        - $for: o in group('O')
          O: {3: = O-3.1, 5: "= O-5[*] | each('Test')", 6: R}
          R:
            - {$for: 'r in $o.R[*]', 3: {4: = $r.3.4}, 4: = $r.4, 9: F}
maps:
  Test: {args: [t], out: {4: = $t.4}}
"""
    body = mapping(out, "astm", "astm").render(MESSAGE, CONTEXT).body.decode()
    assert body.split("\r") == [
        "H|\\^&|||CAREBUS|||||||P|1",
        "P|1||4711||Li&S&Na^张三",
        "O|1|S-77||^^^WBC\\^^^RBC|R",
        "R|1|^^^WBC|6.20|||||F",
        "R|2|^^^RBC|4.5|||||F",
        "O|2|S-78||^^^CRP|R",
        "R|1|^^^CRP|>100|||||F",
        "L|1|N",
        "",
    ]


@pytest.mark.parametrize(
    "tree",
    [{}, [], {"P": {4: "x"}}, {"H": {1: "x"}}, {"H": {0: "x"}}, {"H": {5: {"a": "x"}}},
     {"H": {5: {1: {1: "x"}}}}, {"H": "x"}, {"h": {5: "x"}}],
)  # fmt: skip
def test_trees_that_are_no_message(tree: Any) -> None:
    with pytest.raises(FormatError, match="ASTM-TREE"):
        ASTM.write(tree)


PIECES = st.sampled_from(
    ["H|\\^&", "\rP|1|", "O|", "R", "\r", "\n", "|", "^", "\\", "&F&", "\x02", "\x03A1", "\x17",
     "1", "珅", " ", "H"]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_any_bytes_are_read_or_refused(text: str) -> None:
    try:
        message = ASTM.parse(Payload(text.encode()))
    except FormatError:
        return
    assert isinstance(message, AstmMessage)
    for record in message.all:
        for raw in record.fields:
            message.separators.unescape(raw)
    assert ASTM.write(message).body == text.encode()
