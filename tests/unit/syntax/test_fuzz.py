"""Whatever a file holds, reading it ends and says so: no exception, no endless loop."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence, decode_yaml, read_yaml
from engine.syntax import reader as reader_module
from engine.syntax.reader import MAX_DEPTH, MAX_REPEATED
from engine.syntax.render import render
from engine.syntax.typed import boolean_of, integer_of, number_of

LOADERS = [getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader]

_PIECES = st.sampled_from(
    [
        *("a", "b: ", "- ", "? ", ": ", "{", "}", "[", "]", ", ", "&x ", "*x", "!t ", "'", '"'),
        *("|", ">", "|-\n  x\n", "\n", "\n  ", "\n    ", "\t", " # ", "= ", "<<: ", "---", "..."),
        *("null", "中文", "\u3000", "\r", "\ufeff", "\x85", "\u2029", "\x00", "yes", "~", "@", "%"),
        *("\\", "0x1"),
    ]
)
_TEXTS = st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=25).map("".join))


@given(text=_TEXTS)
@example(text="? a\n? b")
@example(text="a: |9\n  x")
@example(text='a: "\\U00110000"')
@example(text="%YAML 99999999999.1\n---\na")
@example(text="\ud800")
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text(text: str) -> None:
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reader_module, "_Loader", loader)
            diagnostics = Diagnostics()
            node = read_yaml(text, "f.yaml", diagnostics)
        assert node is not None or diagnostics.has_errors
        lines = text.count("\n") + text.count("\r") + 1
        for found in diagnostics.items:
            assert 1 <= found.position.line <= lines + 1
            assert found.position.column >= 1
            assert render(found, text)
        if node is not None:
            walk(node)


@given(body=st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes(body: bytes) -> None:
    diagnostics = Diagnostics()
    text = decode_yaml(body, "f.yaml", diagnostics)
    if text is None:
        assert diagnostics.has_errors
    else:
        read_yaml(text, "f.yaml", diagnostics)


@pytest.mark.parametrize("levels", [5, 50])
@pytest.mark.parametrize("width", [2, 10])
def test_aliases_of_aliases_are_bounded(levels: int, width: int) -> None:
    text = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]\n" for n in range(1, levels)
    )
    diagnostics = Diagnostics()
    node = read_yaml(text, "f.yaml", diagnostics)
    if node is None:
        assert {found.code for found in diagnostics.items} <= {"Y005", "Y107"}
    else:
        assert walk(node) <= MAX_REPEATED + len(text)


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "MAX_NODES", 1000)
    diagnostics = Diagnostics()
    assert read_yaml("[" + "x," * 1001 + "]", "f.yaml", diagnostics) is None
    assert [found.code for found in diagnostics.items] == ["Y004"]
    assert read_yaml("[" + "x," * 900 + "]", "f.yaml", diagnostics) is not None


def test_many_tabs_and_blocks_stay_quick() -> None:
    """The time is that of the file's length, whatever it holds."""
    text = "".join(f"k{n}: |\n  = f('\t\n" for n in range(3000)) + "# \t\n" * 3000
    text += "- \t\n"
    diagnostics = Diagnostics()
    start = time.process_time()
    read_yaml(text, "f.yaml", diagnostics)
    assert time.process_time() - start < 2
    assert diagnostics.has_errors


def walk(node: Node, depth: int = 1) -> int:
    """How many nodes there are, aliases followed; asks each scalar for everything."""
    assert depth <= MAX_DEPTH + 1
    match node:
        case Scalar():
            for ask in (boolean_of, integer_of, number_of):
                ask(node, Diagnostics())
            for offset in range(len(node.text)):
                assert node.at(offset).column >= 1
            return 1
        case Sequence():
            return 1 + sum(walk(item, depth + 1) for item in node.items)
        case Mapping():
            assert len(set(node.keys())) == len(node)
            return 1 + sum(1 + walk(value, depth + 1) for _, value in node.entries)
