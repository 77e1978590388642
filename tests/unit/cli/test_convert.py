"""carebus convert: many files, each by the mapping that takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Carebus

ADT = "MSH|^~\\&|HIS|A|B|C|20260131||ADT^A01|{}|P|2.5.1\rPID|||77^^^A||张^伟\r"
MAPPING = """\
mapping: adt
from: {format: hl7v2, message: ADT_A01}
to: {format: json}
out: {id: "= MSH-10!", name: = PID-5}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings/adt.yaml").write_text(MAPPING, "utf-8")
    (tmp_path / "a.b.hl7").write_bytes(ADT.format(1).encode())
    (tmp_path / "wide.txt").write_bytes(ADT.format(2).encode("utf-16"))
    (tmp_path / "framed").write_bytes(b"\x0b" + ADT.format(3).encode() + b"\x1c\r")
    (tmp_path / "lines.hl7").write_bytes(ADT.format(4).replace("\r", "\n").encode())
    (tmp_path / "batch.hl7").write_bytes(
        b"FHS|^~\\&\rBHS|^~\\&\r" + ADT.format(5).encode() + ADT.format("").encode() + b"BTS|2\r"
    )
    (tmp_path / "other.hl7").write_bytes(ADT.format(7).replace("ADT^A01", "ORU^R01").encode())
    (tmp_path / "noise").write_bytes(b"hello")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_file_is_written_and_each_failure_told(project: Path, carebus: Carebus) -> None:
    names = ["a.b.hl7", "wide.txt", "framed", "lines.hl7", "batch.hl7", "other.hl7", "noise", "no"]
    done = carebus("convert", "--to", "json", "--out", "out/new", *names)
    assert done.exit_code == 1
    written = {path.name: json.loads(path.read_bytes()) for path in Path("out/new").iterdir()}
    ids = {name: found["id"] for name, found in written.items()}
    expected = {"a.b": "1", "wide": "2", "framed": "3", "lines": "4", "batch-1": "5"}
    assert ids == {f"{name}.json": id for name, id in expected.items()}
    assert {found["name"] for found in written.values()} == {"张"}
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["file"], one["code"]) for one in told] == [
        ("batch.hl7[2]", "R101"),
        ("other.hl7", "R410"),
        ("noise", "FORMAT-UNKNOWN"),
        ("no", "P040"),
    ]
    assert told[0]["place"] == "mappings/adt.yaml:4:14"
    assert "5 converted, 4 failed" in done.stderr


def test_without_a_folder_the_output_is_printed(project: Path, carebus: Carebus) -> None:
    done = carebus("convert", "--to", "json", "lines.hl7", "a.b.hl7")
    assert done.exit_code == 0
    assert done.stdout == '{"id":"4","name":"张"}\n{"id":"1","name":"张"}\n'
    assert done.stderr == ""


def test_two_inputs_never_share_an_output(project: Path, carebus: Carebus) -> None:
    (project / "b").mkdir()
    (project / "b/lines.txt").write_bytes(ADT.format(9).encode())
    done = carebus("convert", "--to", "json", "--out", "out", "lines.hl7", "b/lines.txt")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["code"] == "P041"
    assert json.loads(Path("out/lines.json").read_bytes())["id"] == "4"


def test_a_mapping_may_be_named(project: Path, carebus: Carebus) -> None:
    done = carebus("convert", "--to", "json", "--mapping", "mappings/adt.yaml", "other.hl7")
    assert json.loads(done.stdout)["id"] == "7"
    wrong = carebus("convert", "--to", "json", "--mapping", "adtt", "other.hl7")
    assert wrong.exit_code == 2
    assert "did you mean 'adt'" in " ".join(wrong.stderr.replace("│", " ").split())


def test_the_shipped_mappings_serve_any_folder(tmp_path: Path) -> None:
    """In a process of its own, as it is used: nothing of this test's folder is on the path."""
    (tmp_path / "adt.hl7").write_bytes(ADT.format(1).encode())
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "convert", "--to", "fhir", "adt.hl7"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["resourceType"] == "Bundle"


def test_a_ledger_beside_each_output(project: Path, carebus: Carebus) -> None:
    done = carebus("convert", "--to", "json", "--out", "out", "--ledger", "a.b.hl7")
    assert done.exit_code == 0
    found = json.loads(Path("out/a.b.ledger.json").read_bytes())
    assert (found["leaves"], found["used"], found["syntax"]) == (16, 2, 2)
    name = next(leaf for leaf in found["ledger"] if leaf["source"] == "PID[1]-5[1].1.1")
    assert name == {
        "source": "PID[1]-5[1].1.1",
        "value": "张",
        "use": "used",
        "output": ["name"],
        "rules": ["mappings/adt.yaml:4:30"],
    }
    assert carebus("convert", "--to", "json", "--ledger", "a.b.hl7").exit_code == 2


def test_the_ledger_of_one_mapping(project: Path, carebus: Carebus) -> None:
    (project / "routes.yaml").write_text("routes: []\n", "utf-8")
    done = carebus("map", "adt", "a.b.hl7", "--ledger")
    assert done.exit_code == 0
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert ["PID[1]-3[1].1.1", "77", "unused", "", ""] in rows
    assert "16 leaves: 2 syntax, 12 unused, 2 used; 25% mapped" in done.stderr


def test_standard_input(project: Path, carebus: Carebus) -> None:
    done = carebus("convert", "--to", "json", "-", stdin=ADT.format(8).encode())
    assert done.stdout == '{"id":"8","name":"张"}\n'
    assert carebus("convert", "--to", "json", "--out", "o", "-", stdin=b"MSH").exit_code == 1


def test_a_format_that_nobody_writes(project: Path, carebus: Carebus) -> None:
    done = carebus("convert", "--to", "jsn", "a.b.hl7")
    assert done.exit_code == 2
    assert "'jsn' is no format" in done.stderr


def test_on_a_terminal_what_a_value_was_made_of_is_below_it(
    project: Path, carebus: Carebus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.cli.map.terminal", lambda: True)
    (project / "routes.yaml").write_text("routes: []\n", "utf-8")
    (project / "a.hl7").write_bytes(ADT.format("5\x1b[2J").encode())
    done = carebus("map", "adt", "a.hl7", "--explain")
    assert done.stdout == (
        "id = 5\ufffd[2J\n    MSH-10: 5\ufffd[2J\n    mappings/adt.yaml:4:12\n"
        "name = 张\n    PID-5: 张\n    mappings/adt.yaml:4:30\n"
    )
