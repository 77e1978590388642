"""What YAML says becomes nodes: text stays text, and every node knows its place."""

from __future__ import annotations

import pytest
import yaml

from engine.syntax import (
    Diagnostics,
    Mapping,
    Node,
    Position,
    Scalar,
    Sequence,
    decode_yaml,
    read_yaml,
)
from engine.syntax import reader as reader_module


def read(text: str) -> Node:
    diagnostics = Diagnostics()
    node = read_yaml(text, "f.yaml", diagnostics)
    assert diagnostics.items == ()
    assert node is not None
    return node


def entry(text: str, key: str) -> Node:
    node = read(text)
    assert isinstance(node, Mapping)
    value = node.get(key)
    assert value is not None
    return value


def scalar(text: str, key: str = "a") -> Scalar:
    value = entry(text, key)
    assert isinstance(value, Scalar)
    return value


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both scanners give the same nodes."""
    if request.param == "pure Python":
        monkeypatch.setattr(reader_module, "_Loader", yaml.SafeLoader)


@pytest.mark.parametrize(
    "text",
    ["no", "NO", "on", "1.10", "0203", "22:22", "12_3", "2024-01-15", "0x1F", "1e3", "true", "007"],
)
def test_what_yaml_1_1_would_change_stays_text(text: str) -> None:
    assert scalar(f"a: {text}\n").text == text
    assert isinstance(read(f"{text}: 1\n"), Mapping)
    assert read(f"{text}: 1\n").keys() == (text,)  # type: ignore[union-attr]


def test_nodes_know_their_places() -> None:
    text = "a: one\nb:\n  - 'two'\n  - {c: three}\n"
    items = entry(text, "b")
    assert isinstance(items, Sequence)
    first, second = items.items
    assert first.position == Position("f.yaml", 3, 6)  # after the quote
    assert isinstance(second, Mapping)
    assert second.position == Position("f.yaml", 4, 5)
    assert second.entries[0][0].position == Position("f.yaml", 4, 6)
    assert second.entries[0][1].position == Position("f.yaml", 4, 9)
    assert str(second.position) == "f.yaml:4:5"


@pytest.mark.parametrize(
    ("source", "needle"),
    [
        ("a: = PID-3 ! x\n", "!"),
        ("a: '= f(''q'') ! x'\n", "!"),
        ('a: "= f(\\"q\\", \\x41, \\n) ! x"\n', "!"),
        ("a: |\n  = one\n    ! x\n", "!"),
        ("a: |\n\n  = one\n  ! x\n", "!"),
        ("- b:\n  - a: |-\n      ! x\n", "!"),
        ("a: '中文 ! x'\n", "!"),
    ],
)
def test_an_offset_in_a_text_is_a_place_in_the_file(source: str, needle: str) -> None:
    node = read(source)
    while not isinstance(node, Scalar):
        node = node.items[0] if isinstance(node, Sequence) else node.entries[-1][1]
    place = node.at(node.text.index(needle))
    line = source.split("\n")[place.line - 1]
    assert line[place.column - 1] == needle


def test_the_length_is_that_of_the_source() -> None:
    assert scalar("a: 'it''s'\n").length == len("it''s")
    assert scalar('a: "x\\ty"\n').length == len("x\\ty")
    assert scalar("a: |\n  one\n  three\n").length == len("one")


def test_crlf_and_cr_end_lines() -> None:
    for end in ("\n", "\r\n", "\r"):
        assert scalar(f"x: 1{end}a: two{end}").position.line == 2


def test_a_block_keeps_its_lines() -> None:
    text = "a: |\n  MSH|^~\\&|A\n  PID|||1\n"
    block = scalar(text)
    assert block.text == "MSH|^~\\&|A\nPID|||1\n"
    assert block.block
    assert not block.quoted
    assert block.position == Position("f.yaml", 2, 3)


def test_tabs_inside_texts_and_comments_are_no_trap() -> None:
    node = read("a: |\n  {\n  \t\"x\": 1}\nb: 'x\ty'  # a\ttab\n# \t\n")
    assert isinstance(node, Mapping)
    assert [value.text for _, value in node.entries if isinstance(value, Scalar)] == [
        '{\n\t"x": 1}\n',
        "x\ty",
    ]


def test_an_alias_is_the_node_of_its_anchor() -> None:
    node = read("a: &x {b: 1}\nc: *x\n")
    assert isinstance(node, Mapping)
    assert node.get("c") is node.get("a")


@pytest.mark.parametrize(
    "expression",
    [
        "= PID-8 # sex",
        "= PV1-2 == 'I'   # inpatients",
        "= $cx.4 | each('NamespaceUri')",
        "== a literal # with a comment",
    ],
)
def test_a_finished_expression_may_have_a_comment(expression: str) -> None:
    assert scalar(f"a: {expression}\n").text == expression.split(" #")[0].rstrip()


def test_expressions_in_flow_collections() -> None:
    value = scalar("{system: = $cx.4 | each('NamespaceUri'), value: = $cx.1}\n", "value")
    assert value.text == "= $cx.1"


def test_an_empty_value_is_an_empty_text() -> None:
    assert scalar("a:\n") == Scalar("", False, Position("f.yaml", 1, 3))
    assert scalar("a: ''\n").quoted


def test_bytes_are_utf8() -> None:
    diagnostics = Diagnostics()
    assert decode_yaml("系统: HIS\n".encode(), "f.yaml", diagnostics) == "系统: HIS\n"
    assert decode_yaml("a: 1\nb: 中".encode("gb18030"), "f.yaml", diagnostics) is None
    (found,) = diagnostics.items
    assert found.code == "Y001"
    assert found.position == Position("f.yaml", 2, 4)


def test_a_trap_does_not_hide_the_next() -> None:
    diagnostics = Diagnostics()
    node = read_yaml("a: !!int 1\na: 2\nb: null\n", "f.yaml", diagnostics)
    assert [found.code for found in diagnostics.items] == ["Y105", "Y102", "Y108"]
    assert isinstance(node, Mapping)
    assert node.keys() == ("a", "b")


def test_large_files_are_read_fast_enough_to_be_unnoticed() -> None:
    rows = "".join(f"  code{n}: display {n}\n" for n in range(5000))
    value = entry("a:\n" + rows, "a")
    assert isinstance(value, Mapping)
    assert len(value) == 5000
