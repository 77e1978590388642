"""Maps that are checked once for a project: what is said stays the same, and what runs as well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from engine.mapping import (
    Checked,
    CompiledMapping,
    FolderLibrary,
    check_library,
    compile_mapping,
    has_output,
)
from engine.mapping.made import Made
from engine.syntax import Diagnostics
from tests.unit.mapping.reading import CONTEXT, hl7

NAMES = """\
import: [codes]
maps:
  Name:
    args: [xpn]
    out: {family: = $xpn.1, use: "= $xpn.7 | table('NameUse')", text: "= $xpn | each('Text')"}
  Text: {args: [xpn], out: = $xpn.2}
  Spare: {args: [x], out: = $x.1}
"""
CODES = "tables: {NameUse: {unmapped: drop, rows: {L: official}}}\n"
FIRST = """\
mapping: first
from: {format: hl7v2, message: ADT_A01}
to: {format: json}
import: [names]
out: {name: "= PID-5[1] | each('Name')"}
"""
SECOND = FIRST.replace("first", "second").replace("ADT_A01", "ORU_R01")


def checked(folder: Path, files: dict[str, str], known: Checked | None) -> list[str]:
    """What is said of each file, one after the other."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    library, said = FolderLibrary(folder, shown=""), []
    for name in files:
        found = Diagnostics()
        root = library.source(name, found)
        assert root is not None
        if has_output(root, library):
            compile_mapping(root, diagnostics=found, library=library, name=name, checked=known)
        else:
            check_library(root, diagnostics=found, library=library, name=name, checked=known)
        said += [f"{name}: {one} ({one.help})" for one in found.items]
    return said


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"names": NAMES.replace("'NameUse'", "'NoUse'")}, ["M303"]),
        ({"names": NAMES.replace("$xpn.2", "$xpm.2")}, ["M301"]),
        ({"names": NAMES.replace("out: = $xpn.2", "let: {a: = 1}, out: = $xpn.2")}, ["M601"]),
        ({"names": NAMES.replace("out: = $xpn.2", "out: \"= $xpn | each('Name')\"")}, ["M307"]),
        (
            {
                "names": NAMES.replace("$xpn.2", "$xpn | each('More')").replace("codes", "more"),
                "more": "import: [names, codes]\nmaps:\n"
                "  More: {args: [m], out: \"= $m | each('Text')\"}\n",
            },
            ["M307"],
        ),
        ({"names": NAMES.replace("$xpn.2", "$xpn.2 + $xpn.OBSERVATION.OBX-5")}, ["M729"]),
        ({"names": NAMES.replace("$xpn.2", "$xpn.PID-99")}, ["M720"]),
        ({"codes": CODES.replace("unmapped: drop", "unmapped: = $cod")}, ["M301"]),
        (
            {
                "site": "extends: names\nmaps: {Text: {args: [xpn, more], out: = $xpn.2}}\n",
                "second": SECOND.replace("[names]", "[site]"),
            },
            ["M305"],
        ),
        ({"second": SECOND.replace("import: [names]", "import: [names, codes]")}, []),
        ({"second": SECOND.replace("Name", "Spare")}, []),
        (
            {
                "more": "maps: {More: {args: [m], out: = $m.1}}\n",
                "second": SECOND.replace("[names]", "[names, more]"),
            },
            ["M606"],
        ),
    ],
)
def test_the_same_is_said(tmp_path: Path, changes: dict[str, str], codes: list[str]) -> None:
    files = {"names": NAMES, "codes": CODES, "first": FIRST, "second": SECOND, **changes}
    said = checked(tmp_path, files, None)
    for order in (files, dict(reversed(files.items()))):
        expected = sorted(checked(tmp_path, order, None))
        assert sorted(checked(tmp_path, order, Checked())) == expected
    assert {code for code in codes if any(f"[{code}]" in one for one in said)} == set(codes)
    assert bool(said) == bool(codes)


def compiled(folder: Path, known: Checked | None) -> CompiledMapping:
    files = {"names": NAMES, "codes": CODES, "first": FIRST}
    assert checked(folder, files, known) == []
    library, found = FolderLibrary(folder), Diagnostics()
    root = library.source("first", found)
    assert root is not None
    mapping = compile_mapping(root, diagnostics=found, library=library, name="first", checked=known)
    assert mapping is not None
    return mapping


def test_what_runs_is_made_when_it_is_wanted(tmp_path: Path) -> None:
    later, now = compiled(tmp_path, Checked()), compiled(tmp_path, None)
    assert later.making.ready is None
    assert now.making.ready is not None
    message = hl7("PID|||||Jones^Will^^^^^L")
    assert later.apply(message, CONTEXT) == now.apply(message, CONTEXT)
    assert later.making.ready is not None
    assert later.rules == now.rules
    assert later.version == now.version


def test_threads_that_want_it_at_once_get_the_same(tmp_path: Path) -> None:
    mapping, together = compiled(tmp_path, Checked()), Barrier(8)

    def prepare(_: int) -> Made:
        together.wait()
        return mapping.prepare()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(prepare, range(8)))
    assert all(one is found[0] for one in found)
