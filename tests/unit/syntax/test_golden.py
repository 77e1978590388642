"""Every YAML code, as an integration engineer sees it.

The expected texts are in golden/; after a change on purpose, ``UPDATE_GOLDEN=1 pytest`` writes them
again, and git shows what became different.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.syntax import CODES, Diagnostics, decode_yaml, read_yaml
from engine.syntax.nodes import Mapping, Node
from engine.syntax.render import render
from engine.syntax.typed import (
    boolean_of,
    integer_of,
    mapping_of,
    number_of,
    sequence_of,
    text_of,
)

GOLDEN = Path(__file__).parent / "golden"
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True)
)

CASES = {
    "Y001": "system: 检验".encode("gb18030"),
    "Y001-utf16": "system: LIS".encode("utf-16"),
    "Y002": "\ufeffsystem: LIS\n",
    "Y003": "system: LIS\u2028\n",
    "Y003-control": "system: LIS\x0b\n",
    "Y004": "#" * (4 * 1024 * 1024) + "\na: 1\n",
    "Y005": "a: " + "[" * 80,
    "Y005-alias": "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40,
    "Y006": "settings:\n\tport: 2575\n",
    "Y006-after-key": "port:\t2575\n",
    "Y006-in-flow": "settings: {host: a,\n\tport: 1}\n",
    "Y007": "# nothing yet\n",
    "Y008": "a: 1\n---\nb: 2\n",
    "Y101-quote": "a: 'never closed\nb: 1\n",
    "Y101-brace": "a: {b: 1\nc: 2\n",
    "Y101-bracket": "a: [b, 1\nc: 2\n",
    "Y101-indent": "a:\n   b: 1\n  c: 2\n",
    "Y101-start": "a: @home\n",
    "Y101-escape": 'a: "C:\\path"\n',
    "Y101-list": "a: - b\n",
    "Y102": "port: 2575\nhost: a\n'port': 2576\n",
    "Y102-wide": "科室: 检验科\n科室: 放射科\n",
    "Y103": "{a: 1}: 2\n",
    "Y103-empty": "? \n: 2\n",
    "Y104": "a: &x {b: 1}\nc:\n  <<: *x\n",
    "Y105": "port: !!int 2575\n",
    "Y105-directive": "%TAG ! tag:example.org,2000:\n---\na: 1\n",
    "Y106": "a: *nowhere\n",
    "Y106-inside": "a: &a [*a]\n",
    "Y107": _BOMB,
    "Y108": "charset: null\ntimezone: ~\n",
    "Y109-comment": "text: = join(' # ', PID-3)\n",
    "Y109-colon": "text: = concat('x: ', PID-3)\n",
    "Y109-flow": "{a: = join(' ', b), c: 1}\n",
    "Y109-selector": "a: {b: = PID-3[1].4}\n",
    "Y109-key": "- = concat('x: y')\n",
    "Y110": "summary: result: normal\n",
}


@pytest.mark.parametrize("name", CASES)
def test_reading(name: str) -> None:
    diagnostics = Diagnostics()
    given = CASES[name]
    text = given if isinstance(given, str) else decode_yaml(given, f"{name}.yaml", diagnostics)
    if text is not None:
        read_yaml(text, f"{name}.yaml", diagnostics)
    found = diagnostics.items
    assert found[0].code == name[:4]
    compare(name, [render(one, text) for one in found])


@pytest.mark.parametrize(
    ("name", "source", "ask"),
    [
        ("Y201", "a: yes\n", boolean_of),
        ("Y201-no", "a: NO\n", boolean_of),
        ("Y201-other", "a: 1\n", boolean_of),
        ("Y201-list", "a: [true]\n", boolean_of),
        ("Y202", "a: 0x1F\n", integer_of),
        ("Y203", "a: 12_3\n", number_of),
        ("Y204", "a: [x]\n", text_of),
        ("Y205", "a: [x]\n", mapping_of),
        ("Y206", "a: {b: x}\n", sequence_of),
    ],
)
def test_asking(name: str, source: str, ask: object) -> None:
    diagnostics = Diagnostics()
    root = read_yaml(source, f"{name}.yaml", diagnostics)
    assert isinstance(root, Mapping)
    node: Node | None = root.get("a")
    assert callable(ask)
    assert ask(node, diagnostics) is None
    (found,) = diagnostics.items
    assert found.code == name[:4]
    compare(name, [render(found, source)])


def test_every_yaml_code_has_an_example() -> None:
    shown = {path.name[:4] for path in GOLDEN.glob("*.txt")}
    assert shown == {code for code in CODES if code.startswith("Y")}


def compare(name: str, rendered: list[str]) -> None:
    path = GOLDEN / f"{name}.txt"
    got = "\n\n".join(rendered) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")
