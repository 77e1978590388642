"""Mappings that extend others: what comes out, and which file an error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.contract import MappingError
from engine.mapping import (
    CompiledMapping,
    FolderLibrary,
    check_library,
    compile_mapping,
    explain,
    has_output,
    run_examples,
)
from engine.mapping.overlay_paths import Step, steps_of
from engine.syntax import Diagnostics, read_yaml
from tests.unit.mapping.reading import CONTEXT, hl7

BASE = """
mapping: base
from: {format: hl7v2, message: ADT_A01}
to: {format: fhir}
import: [lib]
params: {tenant: text}
let: {number: = PID-3.1}
out:
  resourceType: Patient
  id: = $number
  gender: = PID-8 | table('Sex')
  identifier:
    - $id: mrn
      system: = $tenant
      value: = $number
    - $id: account
      value: = PID-18.1
  name: = PID-5[*] | each('Name')
"""
LIB = """
from: {format: hl7v2}
import: [sexes]
maps:
  Name:
    args: [xpn]
    out:
      family: = $xpn.1
      given: [= $xpn.2]
"""
SEXES = "tables: {Sex: {unmapped: drop, rows: {F: female, M: male}}}\n"
PID = "PID|1||77||Jones^W|||M||||||||||9"
MESSAGE = hl7(PID)
PATIENT = {
    "resourceType": "Patient",
    "id": "77",
    "gender": "male",
    "identifier": [{"system": "north", "value": "77"}, {"value": "9"}],
    "name": [{"family": "Jones", "given": ["W"]}],
}


class Folder:
    """A mappings folder with the base and its library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in (("base", BASE), ("lib", LIB), ("sexes", SEXES)):
            self.put(name, text)

    def put(self, name: str, text: str) -> None:
        (self.root / f"{name}.yaml").write_text(text, encoding="utf-8")

    def compiled(self, name: str) -> CompiledMapping:
        diagnostics = Diagnostics()
        library = FolderLibrary(self.root, shown="mappings")
        root = library.source(name, diagnostics)
        assert root is not None
        found = compile_mapping(root, diagnostics=diagnostics, library=library, name=name)
        assert [str(one) for one in diagnostics.items] == []
        assert found is not None
        return found

    def site(self, text: str) -> CompiledMapping:
        self.put("site", f"mapping: site\nextends: base\n{text}")
        return self.compiled("site")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def applied(mapping: CompiledMapping, **params: Any) -> Any:
    context = type(CONTEXT)(CONTEXT.message_id, CONTEXT.now, params=params or {"tenant": "north"})
    return mapping.apply(MESSAGE, context)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ("", {}),
        ("replace: {gender: unknown}", {"gender": "unknown"}),
        ("replace: {'out.identifier[mrn].value': x}",
         {"identifier": [{"system": "north", "value": "x"}, {"value": "9"}]}),
        ("replace: {'identifier[mrn]': {value: x}}",
         {"identifier": [{"value": "x"}, {"value": "9"}]}),
        ("remove: ['identifier[mrn].system', 'identifier[account]']",
         {"identifier": [{"value": "77"}]}),
        ("remove: ['identifier[mrn]', 'identifier[account]']\nadd: {active: true}",
         {"identifier": None, "active": True}),
        ("add: {identifier: {value: b}}",
         {"identifier": [*PATIENT["identifier"], {"value": "b"}]}),
        ("add: {identifier: [{value: b}, {value: c}]}",
         {"identifier": [*PATIENT["identifier"], {"value": "b"}, {"value": "c"}]}),
        ("add: {'identifier[account]': {use: old}, 'identifier[account].x': '1'}",
         {"identifier": [PATIENT["identifier"][0], {"value": "9", "use": "old", "x": "1"}]}),
        ("let: {number: = PID-18.1}", {"id": "9", "identifier": [
            {"system": "north", "value": "9"}, {"value": "9"}]}),
        ("let: {n: \"= concat($number, 'x')\"}\nreplace: {id: = $n}", {"id": "77x"}),
        ("replace: {tables.Sex.rows.M: m}", {"gender": "m"}),
        ("add: {tables.Sex.rows.O: other}\nremove: [tables.Sex.rows.M]", {"gender": None}),
        ("tables: {Sex: {unmapped: = 'x', rows: {F: f}}}", {"gender": "x"}),
        ("remove: [maps.Name.out.given]", {"name": [{"family": "Jones"}]}),
        ("add: {maps.Name.out.given: = $xpn.7, maps.Name.out.use: official}",
         {"name": [{"family": "Jones", "given": ["W"], "use": "official"}]}),
        ("maps: {Name: {args: [n], out: {text: = $n.1}}}", {"name": [{"text": "Jones"}]}),
        ("maps: {Extra: {args: [n], out: {text: = $n.1}}}\n"
         "replace: {name: \"= PID-5 | each('Extra')\"}", {"name": {"text": "Jones"}}),
    ],
)  # fmt: skip
def test_what_an_overlay_changes(folder: Folder, changes: str, expected: Any) -> None:
    wanted = {key: value for key, value in {**PATIENT, **expected}.items() if value is not None}
    assert applied(folder.site(changes)) == wanted
    assert applied(folder.compiled("base")) == PATIENT, "the base stays as it is"


def test_params_and_formats_of_the_overlay_add_to_the_base_s(folder: Folder) -> None:
    site = (
        folder.site(
            "params: {ward: text}\nto: {version: R5}\nadd: {language: = $ward}\nimport: [more]\n"
            "replace: {gender: \"= PID-8 | table('More')\"}"
        )
        if folder.put("more", "tables: {More: {unmapped: pass, rows: {}}}\n") is None
        else None
    )
    assert site is not None
    assert site.params == {"tenant": "text", "ward": "text"}
    assert (site.source_format, site.target_format) == ("hl7v2", "fhir")
    found = applied(site, tenant="north", ward="w")
    assert (found["language"], found["gender"]) == ("w", "M")


def test_overlays_of_overlays(folder: Folder) -> None:
    folder.site(
        "add: {identifier: {$id: site, value: a}}\nreplace: {'identifier[mrn]': {value: b}}"
    )
    folder.put(
        "ward",
        "mapping: ward\nextends: site\nreplace: {'identifier[site].value': c}\n"
        "remove: ['identifier[mrn]']\n",
    )
    assert applied(folder.compiled("ward"))["identifier"] == [{"value": "9"}, {"value": "c"}]


def test_the_version_is_that_of_everything_it_is_made_of(folder: Folder) -> None:
    first = folder.site("remove: [gender]").version
    assert first == folder.compiled("site").version
    folder.put("base", BASE.replace("PID-18.1", "PID-18.2"))
    second = folder.compiled("site").version
    folder.put("sexes", SEXES.replace("drop", "pass"))
    third = folder.compiled("site").version
    assert len({first, second, third, folder.site("remove: [id]").version}) == 4


def test_an_error_names_the_file_that_says_it(folder: Folder) -> None:
    site = folder.site("replace: {'identifier[account].value': = PID-19!}\n")
    with pytest.raises(MappingError) as caught:
        applied(site)
    assert caught.value.info.location == "mappings/site.yaml:3:42"
    folder.put("base", BASE.replace("$number\n  gender", "PID-39!\n  gender"))
    with pytest.raises(MappingError) as caught:
        applied(folder.compiled("site"))
    assert caught.value.info.location == "mappings/base.yaml:10:9"


def test_explaining_names_the_file_of_each_rule(folder: Folder) -> None:
    site = folder.site("add: {'identifier[account].use': old}\nreplace: {tables.Sex.rows.M: m}")
    context = type(CONTEXT)(CONTEXT.message_id, CONTEXT.now, params={"tenant": "north"})
    files = {one.target: one.position.file for one in explain(site, MESSAGE, context)}
    assert files["identifier[2].use"] == "mappings/site.yaml"
    assert files["identifier[2].value"] == "mappings/base.yaml"
    assert files["name[1].family"] == "mappings/lib.yaml"


def test_a_library_can_be_extended_and_stands_for_its_base(folder: Folder) -> None:
    folder.put(
        "own", "extends: lib\nreplace: {maps.Name.out.family: = $xpn.1.1}\nimport: [sexes]\n"
    )
    folder.put(
        "other", "import: [lib]\nmaps: {Other: {args: [x], out: {n: = $x | each('Name')}}}\n"
    )
    folder.put("more", "extends: sexes\nadd: {tables.Sex.rows.O: other}\n")
    site = folder.site("import: [own, other, more]\nreplace: {name: \"= PID-5 | each('Other')\"}\n")
    assert applied(site)["name"] == {"n": {"family": "Jones", "given": ["W"]}}
    assert [rule.position.file for rule in site.rules if rule.path == "Name.family"] == [
        "mappings/own.yaml"
    ]
    library = FolderLibrary(folder.root)
    diagnostics = Diagnostics()
    root = library.source("own", diagnostics)
    assert root is not None
    assert not has_output(root, library)
    check_library(root, diagnostics=diagnostics, library=library, name="own")
    assert diagnostics.items == ()


def test_examples_and_coverage_of_an_overlay(folder: Folder) -> None:
    site = folder.site("add: {'identifier[account].use': old, multipleBirthInteger: = PID-25}")
    test = folder.root / "site.test.yaml"
    test.write_text(
        "mapping: site\ncases:\n  - name: one\n    params: {tenant: north}\n    input: |\n"
        "      MSH|^~\\&|A|B|C|D|20240115||ADT^A01|1|P|2.5.1\n"
        f"      {PID.replace('^W', '')}\n"
        "    contains: {'identifier[2].use': old}\n",
        encoding="utf-8",
    )
    report = run_examples(test, site)
    assert report.passed, [case.problems for case in report.cases]
    assert [(rule.path, rule.position.file) for rule in report.rules] == [
        ("identifier[2].use", "mappings/site.yaml"),
        ("multipleBirthInteger", "mappings/site.yaml"),
    ]
    assert [rule.path for rule in report.never_wrote] == ["multipleBirthInteger"]
    assert report.coverage == 0.5
    assert {rule.position.file for rule in site.rules} > {"mappings/base.yaml", "mappings/lib.yaml"}


def test_a_circle_of_bases_is_an_error(folder: Folder) -> None:
    folder.put("a", "mapping: a\nextends: b\n")
    folder.put("b", "mapping: b\nextends: a\n")
    library = FolderLibrary(folder.root)
    diagnostics = Diagnostics()
    root = library.source("a", diagnostics)
    assert root is not None
    assert compile_mapping(root, diagnostics=diagnostics, library=library, name="a") is None
    assert [one.code for one in diagnostics.items] == ["M021"]
    assert has_output(root, library), "it is checked as a mapping, and refused"


def test_a_broken_base_breaks_its_overlays(folder: Folder) -> None:
    folder.put("base", BASE.replace("table('Sex')", "table('Six')"))
    folder.put("site", "mapping: site\nextends: base\nremove: [id]\n")
    library = FolderLibrary(folder.root, shown="mappings")
    diagnostics = Diagnostics()
    root = library.source("site", diagnostics)
    assert root is not None
    assert compile_mapping(root, diagnostics=diagnostics, library=library, name="site") is None
    assert [(one.code, one.position.file) for one in diagnostics.items] == [
        ("M303", "mappings/base.yaml")
    ]


def test_a_change_of_an_alias_changes_one_place_only(folder: Folder) -> None:
    folder.put(
        "base",
        "mapping: base\nfrom: {format: hl7v2}\nto: {format: json}\n"
        "out: {a: &x {b: = PID-3}, c: *x}\n",
    )
    folder.put("site", "mapping: site\nextends: base\nreplace: {a.b: x}\n")
    assert applied(folder.compiled("site")) == {"a": {"b": "x"}, "c": {"b": "77"}}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("out.entry[a b].x", ["out", "entry", "[a b]", "x"]),
        ("tables.X.rows.'a.b'", ["tables", "X", "rows", "a.b"]),
        ("PID.3[mrn].1", ["PID", "3", "[mrn]", "1"]),
        ("a.$of.NM|SN.b", ["a", "$of", "NM|SN", "b"]),
        ("a[b][c]", ["a", "[b]", "[c]"]),
        ("a..b", []), ("a.", []), (".a", []), ("[a]", []), ("a.[b]", []), ("a[b", []), ("", []),
        ("a[b]c", []),
    ],
)  # fmt: skip
def test_paths(text: str, names: list[str]) -> None:
    assert [str(step) for step in steps_of(text)] == names


def test_steps_know_where_they_are_written() -> None:
    assert steps_of("a.bc[d]") == (Step("a"), Step("bc", False, 2), Step("d", True, 4))


def test_the_base_is_read_as_yaml_only(folder: Folder) -> None:
    diagnostics = Diagnostics()
    node = FolderLibrary(folder.root).source("sexes", diagnostics)
    assert node == read_yaml(SEXES, f"{folder.root.name}/sexes.yaml", diagnostics)
