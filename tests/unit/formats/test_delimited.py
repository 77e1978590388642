"""Readers of tables end with rows or a FormatError for any text; what is written is read again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import FormatError, Payload
from engine.formats import FORMATS, DelimitedDocument
from engine.formats.delimited import Column, DelimitedTree, Layout

LAYOUTS = [
    Layout(),
    Layout(header=False),
    Layout(separator=";", quote=""),
    Layout(separator="|", quote="'", columns=(Column("a"), Column("b"))),
    Layout(header=False, columns=(Column("a", 3), Column("b", 2))),
]
PIECES = st.sampled_from(
    ['"', "'", ",", ";", "|", "\r\n", "\n", "\r", " ", "a", "珅", '""', "\x00"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from(LAYOUTS))
def test_any_text_is_read_or_refused(text: str, layout: Layout) -> None:
    document = FORMATS["delimited"].parse(Payload(text.encode()))
    assert isinstance(document, DelimitedDocument)
    try:
        rows = document.rows(layout)
    except FormatError:
        return
    assert all(isinstance(cell, str) for row in rows for cell in row.values())


CELLS = st.text(st.sampled_from("ab,;\"' \n珅"), max_size=5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS.filter(str.strip), CELLS), min_size=1, max_size=5))
def test_what_is_written_is_read_again(cells: list[tuple[str, str]]) -> None:
    rows = [{"x": first, "y": second} for first, second in cells]
    for layout in (Layout(), Layout(separator=";", line_end="\n")):
        payload = FORMATS["delimited"].write(DelimitedTree({"rows": rows}, layout))
        document = FORMATS["delimited"].parse(payload)
        assert isinstance(document, DelimitedDocument)
        assert document.rows(layout) == rows
