"""The copy of the shipped project: only the addresses differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.demo.project import NoProject, Ports, copy_project

PORTS = Ports(his=1001, lis=1002, ward=1003, emr=1004)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    root = tmp_path / "shipped"
    (root / "channels").mkdir(parents=True)
    (root / "mappings" / "lib").mkdir(parents=True)
    (root / "routes.yaml").write_text("routes: []\n", "utf-8")
    (root / "mappings" / "lib" / "a.yaml").write_text("x: 2575\n", "utf-8")
    for name, text in {
        "his-adt": "settings: {host: 127.0.0.1, port: 2575}\n",
        "lis-oru": "settings: {host: 127.0.0.1, port: 2576}  # 25760 stays\n",
        "ward-oru": "settings: {host: 127.0.0.1, port: 2577}\n",
        "emr-fhir": "settings: {url: http://127.0.0.1:8090/fhir}\n",
    }.items():
        (root / "channels" / f"{name}.yaml").write_text(text, "utf-8")
    return root


def test_the_ports_are_moved_and_nothing_else(shipped: Path, tmp_path: Path) -> None:
    copy = copy_project(shipped, tmp_path / "copy", PORTS)
    texts = {path.stem: path.read_text("utf-8") for path in (copy / "channels").iterdir()}
    assert texts == {
        "his-adt": "settings: {host: 127.0.0.1, port: 1001}\n",
        "lis-oru": "settings: {host: 127.0.0.1, port: 1002}  # 25760 stays\n",
        "ward-oru": "settings: {host: 127.0.0.1, port: 1003}\n",
        "emr-fhir": "settings: {url: http://127.0.0.1:1004/fhir}\n",
    }
    assert (copy / "mappings" / "lib" / "a.yaml").read_text("utf-8") == "x: 2575\n"


def test_a_folder_that_is_no_project_is_refused(shipped: Path, tmp_path: Path) -> None:
    (shipped / "routes.yaml").unlink()
    with pytest.raises(NoProject, match=r"has no routes\.yaml"):
        copy_project(shipped, tmp_path / "copy", PORTS)


def test_a_project_with_other_ports_is_refused(shipped: Path, tmp_path: Path) -> None:
    (shipped / "channels" / "ward-oru.yaml").unlink()
    with pytest.raises(NoProject, match="port 2577"):
        copy_project(shipped, tmp_path / "copy", PORTS)
