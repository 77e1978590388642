"""Where each value came from."""

from __future__ import annotations

from engine.mapping import explain
from engine.mapping.explain import trace, written_rules
from tests.unit.mapping.reading import CONTEXT, hl7, json, mapping

MESSAGE = hl7("PID|1||77^^^A~88^^^B||JONES^WILLIAM||19610615|M")
TEXT = """\
let:
  who: = PID-3[2].1
out:
  kind: Patient
  id: = $who
  sex: = PID-8 | table('Sex')
  born: = PID-7 | date
  ids: = PID-3[*] | each('Id')
  list:
    - $for: x in PID-3[*]
      v: = $x.1
      at: = $x.4
maps:
  Id: {args: [cx], out: {v: = $cx.1, w: = $cx.9}}
tables:
  Sex: {unmapped: drop, rows: {M: male}}
"""


def test_each_leaf_with_its_sources_and_its_line() -> None:
    found = explain(mapping(TEXT), MESSAGE, CONTEXT)
    shown = {
        one.target: (
            one.value,
            [(s.path, s.value) for s in one.sources],
            one.rule,
            one.position.line - 7,  # from "kind"
        )
        for one in found
    }
    assert shown == {
        "kind": ("Patient", [], "kind", 0),
        "id": ("88", [("PID-3[2].1", "88")], "id", 1),
        "sex": ("male", [("PID-8", "M")], "sex", 2),
        "born": ("1961-06-15", [("PID-7", "19610615")], "born", 3),
        "ids[1].v": ("77", [("PID-3[1].1", "77")], "Id.v", 10),
        "ids[2].v": ("88", [("PID-3[2].1", "88")], "Id.v", 10),
        "list[1].v": ("77", [("PID-3[1].1", "77")], "list[1].v", 7),
        "list[1].at": ("A", [("PID-3[1].4", "A")], "list[1].at", 8),
        "list[2].v": ("88", [("PID-3[2].1", "88")], "list[1].v", 7),
        "list[2].at": ("B", [("PID-3[2].4", "B")], "list[1].at", 8),
    }


def test_it_is_the_same_mapping() -> None:
    """The instrumented form gives the leaves that `apply` gives."""
    compiled = mapping(TEXT)
    leaves = {one.target: one.value for one in explain(compiled, MESSAGE, CONTEXT)}
    tree = compiled.apply(MESSAGE, CONTEXT)
    assert leaves["ids[2].v"] == tree["ids"][1]["v"]
    assert len(leaves) == 10


def test_copied_parts_of_a_json_source() -> None:
    document = json({"a": {"b": [1, "x"]}})
    found = explain(mapping("out: {c: = $src.a}", "json", "json"), document, CONTEXT)
    assert [(one.target, one.value) for one in found] == [("c.b[1]", "1"), ("c.b[2]", "x")]


def test_no_value_in_a_repr() -> None:
    found = explain(mapping(TEXT), MESSAGE, CONTEXT)
    assert "1961" not in repr(found)


def test_only_the_own_source() -> None:
    """Neither what a predicate asks nor what the other items are made of."""
    text = """\
out:
  id: = PID-3[.4 == 'B'].1
  all: = PID-3[*].1
  both: = list(PID-5.1, PID-5.2)
"""
    found = explain(mapping(text), MESSAGE, CONTEXT)
    assert [(one.target, [(s.path, s.value) for s in one.sources]) for one in found] == [
        ("id", [("PID-3[.4 == 'B'].1", "88")]),
        ("all[1]", [("PID-3[1].1", "77")]),
        ("all[2]", [("PID-3[2].1", "88")]),
        ("both[1]", [("PID-5.1", "JONES")]),
        ("both[2]", [("PID-5.2", "WILLIAM")]),
    ]


def test_a_rule_that_passes_on_what_a_map_writes_has_written() -> None:
    compiled = mapping(TEXT)
    traced = compiled.traced()
    assert traced is not None
    written = {rule.path for rule in written_rules(trace(traced, MESSAGE, CONTEXT))}
    assert written == {rule.path for rule in compiled.rules} - {"Id.w"}


def test_a_map_of_text_has_written_what_the_expression_goes_on_with() -> None:
    text = "out: {a: = PID-5 | each('Up') | lower}\nmaps: {Up: {args: [x], out: = $x.1}}"
    traced = mapping(text).traced()
    assert traced is not None
    tree = trace(traced, MESSAGE, CONTEXT)
    assert {rule.path for rule in written_rules(tree)} == {"a", "Up"}


def test_a_path_is_the_messages_through_variables_and_maps() -> None:
    text = """let: {pid: = PID}
out:
  whole: {$use: Person, $with: {p: = $pid}}
  name: = $pid.5 | each('Name')
maps:
  Person: {args: [p], out: {id: {$use: Id, $with: {cx: = $p.3}}}}
  Id: {args: [cx], out: {v: = $cx.4}}
  Name: {args: [xpn], out: {given: = $xpn.2}}
"""
    found = explain(mapping(text), MESSAGE, CONTEXT)
    assert [(one.target, one.sources[0].path) for one in found] == [
        ("whole.id.v", "PID-3.4"),
        ("name.given", "PID-5.2"),
    ]
