"""Whatever is written: compiling ends with diagnostics, running with a value or an error."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import MapContext, MappingError, MessageId
from engine.formats.hl7v2 import parse
from engine.mapping import BUILT_IN, compile_expression, compile_mapping
from engine.mapping.forms import FORMS
from engine.mapping.functions.signature import Function
from engine.syntax import Diagnostics, Position, Scalar, read_yaml

CONTEXT = MapContext(MessageId("m"), datetime(2024, 1, 15, tzinfo=UTC))
MESSAGE = parse(
    b"MSH|^~\\&|A|B|C|D|20240115||ADT^A01|1|P|2.5.1\rPID|1||7^^^A~8||J^W||1961|M\rOBX|1|NM|G||5\r"
)

PIECES = st.sampled_from(
    [
        "PID-3", "PID-3.1", "PID-3[*]", "PID-3[2]", "OBX[*]-5", "OBX", "group('OBR')", "$x", "$now",
        "'a'", "''", "1", "1.5", "0", "true", "(", ")", "[", "]", "|", "??", "!", "==", "!=", "<",
        ">=", "in", "not", "and", "or", "matches", "+", "-", "*", "/", ",", ".", ".5", "[last]",
        "[.1 == '7']", "-", "\\", "'", '"', "=", " ", "患", "table('T')", "each('M')",
        *BUILT_IN, *FORMS,
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map(" ".join))


@given(text=TEXTS, format=st.sampled_from(["hl7v2", "json", "fhir"]))
@settings(max_examples=400, deadline=None)
def test_any_text_is_an_expression_or_a_diagnostic(text: str, format: str) -> None:
    diagnostics = Diagnostics()
    scalar = Scalar(text, False, Position("x", 1, 1))
    found = compile_expression(scalar, format=format, diagnostics=diagnostics)
    assert (found is None) == diagnostics.has_errors
    if found is not None and format == "hl7v2":
        with suppress(MappingError):
            found.value(MESSAGE, CONTEXT)
        with suppress(MappingError):
            found.test(MESSAGE, CONTEXT)


ATOMS = st.sampled_from(
    ["PID-3", "PID-3.1", "PID-5[*]", "PID-8", "PID-9", "OBX-5", "'x'", "'5'", "3", "1.5", "true",
     "[]", "['a', 'b']", "$now", "OBX[*]-2"]
)  # fmt: skip


def _called(function: Function, arguments: list[str]) -> str:
    return f"{function.name}({', '.join(arguments[: max(1, function.least)])})"


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    functions = st.sampled_from(list(BUILT_IN.values()))
    binary = st.sampled_from(["??", "==", "<", "in", "and", "or", "+", "*", "/"])
    wrapped = st.sampled_from(["(not {})", "try({})", "({})!", "list({}, 'x')", "concat({}, 1)"])
    return st.one_of(
        st.builds(_called, functions, st.lists(inner, min_size=3, max_size=3)),
        st.tuples(inner, binary, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.builds(lambda form, inside: form.format(inside), wrapped, inner),
    )


@given(st.recursive(ATOMS, _larger, max_leaves=6))
@settings(max_examples=200, deadline=None)
def test_any_expression_gives_a_value_or_a_mapping_error(text: str) -> None:
    diagnostics = Diagnostics()
    scalar = Scalar(text, False, Position("x", 1, 1))
    found = compile_expression(scalar, format="hl7v2", diagnostics=diagnostics)
    if found is None:
        codes = {one.code for one in diagnostics.items}
        assert codes <= {"M108", "M310", "M701", "M309"}, (text, codes)
        return
    with suppress(MappingError):
        assert repr(found.value(MESSAGE, CONTEXT)) == repr(found.value(MESSAGE, CONTEXT))


SCALARS = st.sampled_from(
    [
        "x",
        "= PID-3",
        "= PID-3[*]",
        "= $v",
        "= $v.1",
        "= $index",
        "= PID-9",
        "= PID-3[*] | each('M')",
    ]
)
KEYS = st.sampled_from(
    ["a", "b", "$first", "$case", "$of", "$else", "$use", "$with", "$id", "$raise"]
)


def _node(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    plain = st.dictionaries(KEYS, inner, max_size=3)
    loop = plain.map(lambda node: {"$for": "v in PID-3[*]", **node})
    guarded = plain.map(lambda node: {"$if": "= PID-3", "$let": {"v": "= PID-5"}, **node})
    used = st.just({"$use": "M", "$with": {"v": "= PID-3"}})
    return st.one_of(plain, loop, guarded, used, st.lists(inner, max_size=3))


@given(st.recursive(SCALARS, _node, max_leaves=10))
@settings(max_examples=200, deadline=None)
def test_any_tree_compiles_or_is_reported_and_ends(out: object) -> None:
    diagnostics = Diagnostics()
    text = (
        "from: {format: hl7v2}\nto: {format: fhir}\n"
        f"out: {json.dumps(out)}\nmaps: {{M: {{args: [v], out: {{c: '= $v.1'}}}}}}\n"
    )
    root = read_yaml(text, "t.yaml", diagnostics)
    if root is None:
        return
    compiled = compile_mapping(root, diagnostics=diagnostics)
    assert (compiled is None) == diagnostics.has_errors
    if compiled is not None:
        with suppress(MappingError):
            first = compiled.apply(MESSAGE, CONTEXT)
            assert compiled.apply(MESSAGE, CONTEXT) == first
