"""`layout:`, what a channel's tables look like: for its index, its duplicates, routes and lanes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.contract import MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.mapping import Expression
from tests.unit.config.projects import OUTBOUND, configuration, load_project

CHANNEL = """\
system: LAB
direction: inbound
connector: wire
settings: {port: 2575}
format: delimited
index: {patient: '$src.rows[1].id'}
duplicates: {key: ['$src.rows[1].id', '$src.rows[1].name'], within: 1h}
layout: {LAYOUT}
"""
MAPPING = """\
mapping: to-json
from: {format: delimited, LAYOUT}
to: {format: json}
out:
  n: = $src.rows[1].name
"""
ROUTES = """\
routes:
  - name: all
    from: lab
    when: = $src.rows[1].name == 'Ann'
    to: [{channel: emr, mapping: to-json}]
"""
CONTEXT = MapContext(MessageId("0"), datetime(2024, 1, 15, tzinfo=UTC))
SEMICOLONS = "separator: ';'"


def project(layout: str, mapping: str | None = None) -> dict[str, str | None]:
    return {
        "channels/his.yaml": None,
        "channels/lab.yaml": CHANNEL.replace("LAYOUT", layout),
        "channels/emr.yaml": OUTBOUND + "ordering: {key: '$src.rows[1].id', lanes: 1}\n",
        "mappings/to-json.yaml": MAPPING.replace("LAYOUT", layout if mapping is None else mapping),
        "routes.yaml": ROUTES,
    }


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (SEMICOLONS, "id;name\n7;Ann\n"),
        ("separator: tab", "id\tname\n7\tAnn\n"),
        ("header: false, columns: [id, name]", "7,Ann\n"),
        ('quote: "\'"', "id,name\n'7',Ann\n"),
        ("columns: [{name: id, width: 3}, {name: name, width: 5}]", "7  Ann  \n"),
        ("columns: [{name: id, width: 3, align: right}, {name: name, width: 3}]", "  7Ann\n"),
    ],
)
def test_expressions_of_a_channel_and_its_routes(tmp_path: Path, layout: str, text: str) -> None:
    made = configuration(tmp_path, project(layout))
    channel, route, target = made.channels["lab"], made.routes[0], made.channels["emr"]
    document = FORMATS["delimited"].parse(Payload(text.encode()))

    def value(expression: Expression | None) -> object:
        assert expression is not None
        return expression.value(document, CONTEXT)

    assert value(channel.index["patient"]) == "7"
    assert channel.duplicates is not None
    assert [value(one) for one in channel.duplicates.key] == ["7", "Ann"]
    assert value(route.when) is True
    assert value(target.ordering.key_expression) == "7"


def codes(root: Path, files: dict[str, str | None]) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in load_project(root, files).diagnostics]


def test_a_mapping_with_another_layout_is_a_warning(tmp_path: Path) -> None:
    assert codes(tmp_path, project(SEMICOLONS, "separator: '|'")) == [
        ("C212", "this mapping reads tables with another layout than 'lab' has")
    ]
    assert codes(tmp_path, project(SEMICOLONS, f"{SEMICOLONS}, line_end: lf")) == []


@pytest.mark.parametrize(
    ("layout", "found"),
    [
        ("separator: ab", ("M154", "one character is wanted")),
        (
            "columns: [id, {name: name, width: 4}]",
            ("M154", "either every column has a width, or none"),
        ),
        ("seperator: ';'", ("C101", "unknown key 'seperator'")),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, layout: str, found: tuple[str, str]) -> None:
    assert found in codes(tmp_path, project(layout, SEMICOLONS))


def test_other_formats_have_no_layout(tmp_path: Path) -> None:
    files = project(SEMICOLONS)
    files["channels/lab.yaml"] = (CHANNEL.replace("format: delimited", "format: hl7v2")).replace(
        "LAYOUT", SEMICOLONS
    )
    assert ("M154", "'separator' belongs to the format delimited") in codes(tmp_path, files)


def test_one_condition_reads_one_layout(tmp_path: Path) -> None:
    files = project(SEMICOLONS)
    files["channels/lab2.yaml"] = CHANNEL.replace("LAYOUT", "separator: tab").replace(
        "2575", "2576"
    )
    files["routes.yaml"] = ROUTES.replace("from: lab", "from: [lab, lab2]")
    found = codes(tmp_path, files)
    assert ("C210", "these channels have different layouts: lab, lab2") in found
    assert any(code == "C132" for code, _ in found)
