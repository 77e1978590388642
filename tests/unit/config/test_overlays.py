"""A project whose routes use mappings that extend others."""

from __future__ import annotations

from pathlib import Path

from tests.unit.config.projects import MAPPING, ROUTES, configuration, load_project

SITE = "mapping: site\nextends: to-json\nadd: {ward: = PV1-3.1}\n"
FILES = {"mappings/site.yaml": SITE, "routes.yaml": ROUTES.replace("to-json", "site")}


def test_a_base_counts_as_used_and_its_changes_reach_the_overlay(tmp_path: Path) -> None:
    first = configuration(tmp_path, FILES)
    assert set(first.mappings) == {"site", "to-json"}
    target = first.routes[0].targets[0].mapping
    assert target is first.mappings["site"]
    changed = {**FILES, "mappings/to-json.yaml": MAPPING.replace("PID-3[1].1", "PID-3[1].4")}
    second = configuration(tmp_path, changed)
    assert second.mappings["site"].version != first.mappings["site"].version
    assert second.version != first.version


def test_an_overlay_of_a_library_is_a_library(tmp_path: Path) -> None:
    found = configuration(
        tmp_path,
        {
            **FILES,
            "mappings/site.yaml": SITE + 'import: [lib/own]\nreplace: {patient: "= PID-3 | '
            "each('Id')\"}\n",
            "mappings/lib/ids.yaml": "maps:\n  Id: {args: [cx], out: = $cx.1}\n",
            "mappings/lib/own.yaml": "extends: lib/ids\nreplace: {maps.Id.out: = $cx.4}\n",
        },
    )
    assert set(found.mappings) == {"site", "to-json"}


def test_a_base_that_is_gone_is_said_of_the_overlay(tmp_path: Path) -> None:
    loaded = load_project(tmp_path, {**FILES, "mappings/to-json.yaml": None})
    assert [(one.code, str(one.position)) for one in loaded.diagnostics] == [
        ("M021", "mappings/site.yaml:2:10")
    ]
