"""Delimited sources and targets: separated values and fixed widths, in mappings."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract import Document, FormatError, MappingError, Payload
from engine.formats import FORMATS
from engine.mapping import explain
from tests.unit.mapping.reading import CONTEXT, json, mapping, value


def table(text: str) -> Document:
    return FORMATS["delimited"].parse(Payload(text.encode()))


PATIENTS = table('id,name,"born on",sex\r\n1,"Li, Na",19610615,F\r\n\r\n2,张三,,M\r\n')


def test_rows_by_name_and_number() -> None:
    out = """
out:
  - $for: row in $src.rows[*]
    id: = $row.id
    name: = $row.name
    born: = $row.'born on' | date
    sex: = $row[4]
    last: = $row[last]
    none: = $row[9]
    n: = $index
"""
    expected = [
        {"id": "1", "name": "Li, Na", "born": "1961-06-15", "sex": "F", "last": "F", "n": 1},
        {"id": "2", "name": "张三", "sex": "M", "last": "M", "n": 2},
    ]
    made = mapping(out, "delimited", "json")
    assert made.apply(PATIENTS, CONTEXT) == expected
    (leaf, *_) = explain(made, PATIENTS, CONTEXT)
    assert [source.path for source in leaf.sources] == ["$src.rows[1].id"]
    assert value("$src.rows[.sex == 'M'].name", PATIENTS) == "张三"
    assert value("count($src.rows[*])", PATIENTS) == 2


@pytest.mark.parametrize(
    ("layout", "text", "expected"),
    [
        ("separator: ';'", "a;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ("separator: tab, header: false", "1\t2\n3\t\n", [{"1": "1", "2": "2"}, {"1": "3"}]),
        ("header: false, columns: [x, y]", "1,2,3\r4,5\r",
         [{"x": "1", "y": "2", "3": "3"}, {"x": "4", "y": "5"}]),
        ("columns: [x, y]", "a,b\n1,2", [{"x": "1", "y": "2"}]),
        ("separator: pipe", 'a|a|\n"x|""y"""|b"c|d', [{"a": 'x|"y"', "a_2": 'b"c', "3": "d"}]),
        ("quote: none", "a,b\n\"1,2\"\n", [{"a": '"1', "b": '2"'}]),
        ("quote: \"'\"", "a\n'x,\ny'\n", [{"a": "x,\ny"}]),
        ("columns: [{name: id, width: 3}, {name: name, width: 4}]", "1  Anna\n22 张三\n3\n",
         [{"id": "1", "name": "Anna"}, {"id": "22", "name": "张三"}, {"id": "3"}]),
        ("columns: [{name: id, width: 2}], header: true", "id\n7\n", [{"id": "7"}]),
        ("separator: ','", "", None),
    ],
)  # fmt: skip
def test_layouts(layout: str, text: str, expected: Any) -> None:
    made = mapping("out: {rows: '= $src.rows[*]', n: 1}", f"delimited, {layout}", "json")
    assert made.apply(table(text), CONTEXT).get("rows") == expected


def test_a_table_of_another_layout_is_refused_without_its_values() -> None:
    made = mapping("out: {rows: '= $src.rows[*]'}", "delimited", "json")
    with pytest.raises(MappingError, match="R404") as caught:
        made.apply(table('a,b\n1,"secret\n'), CONTEXT)
    assert "line 2" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("", 'a,b\r\n1,"x,y"\r\n"say ""hi""",\r\n'),
        ("columns: [b, a, c], separator: ';', line_end: lf", 'b;a;c\nx,y;1;\n;"say ""hi""";\n'),
        ("header: false", '1,"x,y"\r\n"say ""hi""",\r\n'),
        ("columns: [{name: a, width: 10, align: right}, {name: b, width: 4}], line_end: lf",
         "         1x,y \n  say \"hi\"    \n"),
        ("columns: [a]", None),
        ("columns: [{name: a, width: 3}, {name: b, width: 4}]", None),
        ("quote: none", None),
    ],
)  # fmt: skip
def test_writing(layout: str, text: str | None) -> None:
    source = json({"rows": [{"a": 1, "b": "x,y"}, {"a": 'say "hi"'}]})
    rows = "  - {$for: 'r in $src.rows[*]', a: = $r.a, b: = $r.b}"
    target = f"delimited, {layout}" if layout else "delimited"
    made = mapping(f"out:\n  rows:\n  {rows}\n", "json", target)
    if text is None:
        with pytest.raises(FormatError, match="DELIMITED"):
            made.render(source, CONTEXT)
        return
    assert made.render(source, CONTEXT).body.decode() == text
    plain = mapping(f"out:\n{rows}\n", "json", target)
    assert plain.render(source, CONTEXT).body.decode() == text


def test_character_sets() -> None:
    body = "id,name\r\n1,张三\r\n".encode("gbk")
    document = FORMATS["delimited"].parse(Payload(body), charset="gbk")
    assert value("$src.rows[1].name", document) == "张三"
    assert FORMATS["delimited"].write(document).body == body
    assert FORMATS["delimited"].write(document, charset="utf-8").body.decode().endswith("张三\r\n")
    with pytest.raises(FormatError, match="CHARSET-DECODE"):
        FORMATS["delimited"].parse(Payload(body))
