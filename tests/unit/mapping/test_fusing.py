"""A fused function does what its closures do, and gives up where it cannot know that."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

import pytest

from engine.contract import MappingError
from engine.formats.null import NULL
from engine.mapping import explain, fusing, shapes
from engine.mapping.closures import constant
from engine.mapping.fusing import fuse
from engine.mapping.objects import object_code
from engine.mapping.operators import otherwise
from engine.mapping.runstate import Code, Run
from tests.unit.mapping.reading import CONTEXT, hl7, mapping


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Nothing is remembered of the sources, before and after."""
    for cache in (shapes._shape_of, shapes._functions):
        cache.cache_clear()
    yield
    for cache in (shapes._shape_of, shapes._functions):
        cache.cache_clear()


def greeting() -> Code:
    name = otherwise(constant(None), constant("x"))
    computed = (("b", name.code), ("c", constant(NULL).code), ("e", constant(None).code))
    return object_code({"a": 1, "b": None, "c": None, "d": True, "e": None}, computed, (), True)


def test_one_function_with_the_same_result() -> None:
    code = greeting()
    fused = fuse(code)
    assert fused is not code
    assert fused([]) == code([]) == {"a": 1, "b": "x", "d": True}
    assert list(fused([])) == ["a", "b", "d"]
    assert fused([]) is not fused([])


@pytest.mark.usefixtures("forgotten")
def test_a_source_that_is_not_what_runs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    read = inspect.getsource
    monkeypatch.setattr(inspect, "getsource", lambda module: read(module).replace("or None", ""))
    code = greeting()
    assert fuse(code) is code


@pytest.mark.usefixtures("forgotten")
def test_without_sources_the_closures_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: object) -> str:
        raise OSError("no source")

    monkeypatch.setattr(inspect, "getsource", missing)
    code = greeting()
    assert fuse(code) is code


def test_functions_of_others_are_called() -> None:
    def theirs(run: Run) -> str:
        return "mine"

    assert fuse(theirs) is theirs
    assert fuse(object_code({"a": None}, (("a", theirs),), (), True))([]) == {"a": "mine"}


def test_any_depth() -> None:
    text = "out: {" + "a: {" * 40 + "b: = PID-8" + "}" * 41
    tree = mapping(text).apply(hl7("PID||||||||M"), CONTEXT)
    for _ in range(40):
        tree = tree["a"]
    assert tree == {"b": "M"}


def test_more_attempts_in_attempts_than_python_has_blocks() -> None:
    text = "out: {a: = " + "try(" * 25 + "PID-7 | date" + ")" * 25 + ", b: x}"
    assert mapping(text).apply(hl7("PID|||||||x"), CONTEXT) == {"b": "x"}


def test_an_error_names_its_place() -> None:
    with pytest.raises(MappingError) as caught:
        mapping("out:\n  a:\n    b: = PID-7 | date").apply(hl7("PID|||||||x"), CONTEXT)
    assert (caught.value.info.code, caught.value.info.location) == ("R301", "t.yaml:6:18")


def test_alternatives_loops_and_maps_like_the_closures() -> None:
    compiled = mapping(
        """\
out:
  case: {$case: = PID-8, $of: {M: {m: = PID-5.1}, F|O: f}, $else: {n: 1}}
  first: {$first: [{a: = PID-39}, {b: = PID-5.2 ?? 'b'}]}
  ids:
    - $for: x in PID-3[*]
      $if: $x.1 != '2' and not ($x.2 or $x.3)
      $let: {id: = $x.1}
      v: = concat($id, '-', $index)
      $use: Rest
      $with: {x: = $x, y: = PID-8}
maps:
  Rest: {args: [x, y], out: {w: = $x.4, z: = $y}}
"""
    )
    for sex in ("M", "F", "", "?"):
        message = hl7(f"PID|||1^^^A~2~3^x~4||N^G|||{sex}")
        leaves = [(one.target, one.value) for one in explain(compiled, message, CONTEXT)]
        tree = compiled.apply(message, CONTEXT)
        assert leaves == list(_leaves(tree, ""))
        assert [item["v"] for item in tree["ids"]] == ["1-1", "4-4"]


def _leaves(tree: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(tree, list):
        for number, value in enumerate(tree, start=1):
            yield from _leaves(value, f"{path}[{number}]")
    else:
        yield path, str(tree)


def test_what_a_loop_does_not_change_is_computed_when_it_is_wanted() -> None:
    text = """\
out:
  kind: x
  list:
    - $for:
        - p in group('PID')
        - o in OBX[*]
      $let: {id: = PID-3.1! | upper, n: = $o.1}
      id: = $id
      n: = $n
      who: = concat(PID-5.1 | lower, $id)
"""
    compiled = mapping(text)
    assert compiled.apply(hl7("PID|||"), CONTEXT) == {"kind": "x"}  # no turn, no error
    message = hl7("PID|||a||N", "OBX|1", "OBX|2", "PID|||b||M", "OBX|3")
    assert compiled.apply(message, CONTEXT)["list"] == [
        {"id": "A", "n": "1", "who": "nA"},
        {"id": "A", "n": "2", "who": "nA"},
        {"id": "B", "n": "3", "who": "mB"},
    ]
    with pytest.raises(MappingError):
        compiled.apply(hl7("PID|||", "OBX|1"), CONTEXT)


def test_what_is_called_often_becomes_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusing, "_WORTH", 50)
    made: list[Code] = []
    fuse_now = fusing.fuse

    def noting(code: Code, assumed: Mapping[int, type]) -> Code:
        made.append(code)
        return fuse_now(code, assumed)

    monkeypatch.setattr(fusing, "fuse", noting)
    text = "out: {a: [{$for: 's in PID-3[*]', b: = $s.1}]}"
    found, message = mapping(text), hl7(f"PID|||{'~'.join('abcdefghi')}")
    expected = {"a": [{"b": letter} for letter in "abcdefghi"]}
    for calls in range(1, 10):
        assert found.apply(message, CONTEXT) == expected
        assert len(made) == (calls > 6)  # nine turns of the loop and the call itself
