"""The commands about a project: lint, test, map, route, list, create, describe, schema, check."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli.engine_codes import ENGINE_CODES
from engine.cli.map import pretty
from engine.contract import Payload
from tests.unit.cli.conftest import Carebus

ADT = "MSH|^~\\&|HIS|A|B|C|20260101||ADT^A01|7|P|2.5.1\nPID|||77^^^A||张^伟||19700101|M\nPV1||I\n"

FILES = {
    "routes.yaml": """\
routes:
  - name: admissions
    from: his-adt
    when: = MSH-9.1 == 'ADT'
    to:
      - {channel: emr, mapping: adt-to-json, params: {tenant: north}}
      - {channel: ward, when: = PV1-2 == 'O'}
  - name: results
    from: his-adt
    when: = MSH-9.1 == 'ORU'
    to: [{channel: ward}]
""",
    "channels/his-adt.yaml": """\
system: HIS
direction: inbound
connector: mllp
settings: {host: 127.0.0.1, port: 2575}
format: hl7v2
""",
    "channels/emr.yaml": """\
system: EMR
direction: outbound
connector: http
settings: {url: 'http://127.0.0.1:9/json'}
format: json
""",
    "channels/ward.yaml": """\
system: WARD
direction: outbound
connector: mllp
settings: {host: 127.0.0.1, port: 9}
format: hl7v2
""",
    "mappings/adt-to-json.yaml": """\
mapping: adt-to-json
from: {format: hl7v2}
to: {format: json}
params: {tenant: text}
out:
  tenant: = $tenant
  id: = PID-3[1].1!
  sex: = PID-8 | table('Sex')
  died: = PID-29
tables:
  Sex: {unmapped: error, rows: {M: male, F: female}}
""",
    "mappings/adt-to-json.test.yaml": """\
mapping: adt-to-json
cases:
  - name: a man
    input: |
      MSH|^~\\&|A|B|C|D|20240115||ADT^A01|1|P|2.5.1
      PID|||77^^^A|||||M
    params: {tenant: north}
    expect: {tenant: north, id: "77", sex: male}
""",
    "routes.test.yaml": """\
cases:
  - name: an admission
    from: his-adt
    input: {file: adt.hl7}
    to: [admissions/emr]
""",
    "adt.hl7": ADT,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def change(project: Path, name: str, old: str, new: str) -> None:
    text = (project / name).read_text(encoding="utf-8")
    assert old in text
    (project / name).write_text(text.replace(old, new), encoding="utf-8")


# --- lint


def test_a_right_project_has_no_problems(carebus: Carebus, project: Path) -> None:
    result = carebus("lint", project)
    assert (result.exit_code, result.stdout) == (0, "no problems\n"), result.output


def test_a_wrong_project_is_shown_line_by_line(
    carebus: Carebus, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(project, "routes.yaml", "from: his-adt", "from: his-atd")
    monkeypatch.chdir(project)
    result = carebus("lint")
    assert result.exit_code == 1
    assert "--> routes.yaml:3:11" in result.stdout
    assert "^^^^^^^" in result.stdout
    assert "his-adt" in result.stdout
    for form in ("json", "sarif"):
        again = carebus("lint", "--format", form)
        assert again.exit_code == 1
        assert "his-atd" in json.dumps(json.loads(again.stdout))


def test_a_file_is_linted_with_its_project_and_shown_alone(carebus: Carebus, project: Path) -> None:
    change(project, "routes.yaml", "from: his-adt", "from: his-atd")
    change(project, "channels/ward.yaml", "port: 9", "prot: 9")
    wrong = carebus("lint", project / "channels" / "ward.yaml")
    assert wrong.exit_code == 1
    assert "ward.yaml:4" in wrong.stdout
    assert "his-atd" not in wrong.stdout
    assert carebus("lint", project / "mappings" / "adt-to-json.yaml").exit_code == 0
    assert carebus("lint", project / "nowhere").exit_code == 2


def test_a_warning_fails_only_when_strict(carebus: Carebus, project: Path) -> None:
    (project / "channels" / "spare.yaml").write_text(FILES["channels/ward.yaml"])
    assert carebus("lint", project).exit_code == 0
    assert carebus("lint", project, "--strict").exit_code == 1


MARKDOWN = """\
# A project

```yaml
# channels/ward.yaml
system: WARD
direction: outbound
connector: mllp
settings: {host: 127.0.0.1, prot: 2577}
format: hl7v2
```

Text.

  ```yaml
  a: 1
  a: 2
  ```

```yaml
system: HIS
direction: inbound
connector: mllp
settings: {port: nought}
format: hl7v2
```

```text
a: 1
a: 2
```
"""


def test_blocks_of_markdown_are_linted_where_they_stand(carebus: Carebus, project: Path) -> None:
    readme = project / "README.md"
    readme.write_text(MARKDOWN)
    result = carebus("lint", readme, "--format", "json")
    assert result.exit_code == 1
    places = [(found["line"], found["column"]) for found in json.loads(result.stdout)]
    assert {line for line, _ in places} == {8, 16, 23}
    assert (8, MARKDOWN.splitlines()[7].index("prot") + 1) in places
    readme.write_text(
        MARKDOWN.replace("prot", "port").replace("a: 2", "b: 2").replace("nought", "1")
    )
    assert carebus("lint", readme).exit_code == 0


# --- map


def test_a_message_is_mapped_and_printed_for_people(carebus: Carebus, project: Path) -> None:
    words = ("map", "adt-to-json", project / "adt.hl7", "--config", project)
    result = carebus(*words, "--params", "tenant=north")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"tenant": "north", "id": "77", "sex": "male"}
    raw = carebus(*words, "--params", "tenant=north", "--raw")
    assert raw.stdout == '{"tenant":"north","id":"77","sex":"male"}'


def test_a_message_is_mapped_as_it_would_be_from_its_channel(
    carebus: Carebus, project: Path
) -> None:
    (project / "mappings" / "born.yaml").write_text(
        "mapping: born\nfrom: {format: hl7v2}\nto: {format: json}\n"
        "out: {name: = PID-5.1, at: = PID-7 | datetime}\n"
    )
    path = project / "channels" / "his-adt.yaml"
    path.write_text(path.read_text() + "timezone: Asia/Shanghai\ncharset: gb18030\n")
    words = ("map", "born", "-", "--config", project)
    message = ADT.replace("19700101", "19700101083000").encode("gb18030")
    mapped = carebus(*words, "--from", "his-adt", stdin=message)
    assert json.loads(mapped.stdout) == {"name": "张", "at": "1970-01-01T08:30:00+08:00"}
    utc = carebus(*words, "--charset", "gb18030", stdin=message)
    assert json.loads(utc.stdout)["at"] == "1970-01-01T08:30:00Z"
    assert "did you mean his-adt" in carebus(*words, "--from", "his-ad", stdin=message).stderr
    path.write_text(path.read_text().replace("format: hl7v2", "format: json"))
    assert carebus(*words, "--from", "his-adt", stdin=message).exit_code != 0


def test_a_mapping_explains_itself(carebus: Carebus, project: Path) -> None:
    words = ("map", "mappings/adt-to-json.yaml", "-", "--config", project)
    result = carebus(*words, "--params", "tenant=n", "--explain", stdin=ADT.encode())
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    [sex] = [row for row in rows if row[0] == "sex"]
    assert sex[1:4] == ["male", "PID-8", "M"]
    assert sex[4].startswith("mappings/adt-to-json.yaml:8:")


def test_a_message_that_cannot_be_mapped_names_the_line_and_not_the_value(
    carebus: Carebus, project: Path
) -> None:
    (project / "odd.hl7").write_text(ADT.replace("|M\n", "|SECRET\n"))
    words = ("map", "adt-to-json", project / "odd.hl7", "--config", project)
    result = carebus(*words, "--params", "tenant=n")
    assert result.exit_code == 1
    assert "error[R" in result.stderr
    assert "mappings/adt-to-json.yaml:8:" in result.stderr
    assert "SECRET" not in result.output


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("adt-to-jsn", "adt.hl7", "--params", "tenant=n"), "did you mean adt-to-json"),
        (("adt-to-json", "none.hl7", "--params", "tenant=n"), "No such file"),
        (("adt-to-json", "adt.hl7"), "tenant"),
        (("adt-to-json", "adt.hl7", "--params", "tenant"), "name=value"),
        (("adt-to-json", "adt.hl7", "--params", "tenant=n", "--params", "x=1"), "x"),
    ],
)
def test_a_wrong_map_command_is_told(
    carebus: Carebus,
    project: Path,
    words: tuple[str, ...],
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(project)
    result = carebus("map", *words)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.replace("│", " ").split())


def test_what_is_not_a_message_is_told(carebus: Carebus, project: Path) -> None:
    words = ("map", "adt-to-json", "-", "--config", project, "--params", "tenant=n")
    result = carebus(*words, stdin=b"SECRET")
    assert result.exit_code == 1
    assert "error[" in result.stderr
    assert "SECRET" not in result.output


def test_numbers_keep_their_digits_for_people() -> None:
    payload = Payload(b'{"a":1.50,"b":[1e3,2]}', "application/fhir+json")
    assert pretty(payload) == '{\n  "a": 1.50,\n  "b": [\n    1e3,\n    2\n  ]\n}'
    assert pretty(Payload(b"MSH|a\rPID|b\r", "x-application/hl7-v2+er7")) == "MSH|a\nPID|b"


# --- route


def test_the_plan_of_a_message_says_why_not(carebus: Carebus, project: Path) -> None:
    words = ("route", project / "adt.hl7", "--from", "his-adt", "--config", project)
    result = carebus(*words)
    assert result.exit_code == 0, result.output
    heading, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    plan = [dict(zip(heading, row, strict=True)) for row in rows]
    assert [(one["route"], one["channel"], one["matches"]) for one in plan] == [
        ("admissions", "emr", "yes"),
        ("admissions", "ward", "no"),
        ("results", "ward", "no"),
    ]
    assert "PV1-2 == 'O'" in plan[1]["why"]
    assert "MSH-9.1 == 'ORU'" in plan[2]["why"]
    assert "routes.yaml:" in plan[2]["why"]
    assert "77" not in result.output
    as_json = json.loads(carebus(*words, "--format", "json").stdout)
    assert (as_json["type"], as_json["control_id"]) == ("ADT^A01", "7")


def test_a_message_that_nobody_wants_exits_1(carebus: Carebus, project: Path) -> None:
    words = ("route", "-", "--from", "his-adt", "--config", project)
    result = carebus(*words, stdin=ADT.replace("ADT^A01", "SIU^S12").encode())
    assert result.exit_code == 1
    assert "UNROUTED" in result.stderr
    assert carebus("route", "-", "--from", "ward", "--config", project).exit_code == 2


# --- test


def test_examples_of_mappings_and_routes_pass(carebus: Carebus, project: Path) -> None:
    result = carebus("test", "--config", project)
    assert result.exit_code == 0, result.output
    assert "adt-to-json: 1 of 1 passed, 75 % of its 4 rules ran" in result.stdout
    assert "all mappings together: 3 of 4 rules ran, 75.0 %" in result.stdout
    assert "routes: 1 of 1 passed; no case for results" in result.stdout


def test_a_failed_example_shows_the_difference(carebus: Carebus, project: Path) -> None:
    change(project, "mappings/adt-to-json.test.yaml", "sex: male", "sex: female")
    change(project, "routes.test.yaml", "[admissions/emr]", "[admissions/ward]")
    result = carebus("test", "--config", project)
    assert result.exit_code == 1
    assert "FAILED adt-to-json: a man" in result.stdout
    assert '-  "sex": "female"' in result.stdout
    assert "- admissions/ward was expected" in result.stdout
    assert "+ admissions/emr was not expected" in result.stdout
    assert carebus("test", "--config", project, "-k", "nothing like it").exit_code == 0
    assert carebus("test", "--config", project, "-k", "routes: an").exit_code == 1


def test_too_little_coverage_fails_and_names_the_lines(carebus: Carebus, project: Path) -> None:
    result = carebus("test", "--config", project, "--min-coverage", "80")
    assert result.exit_code == 1
    assert "never ran: mappings/adt-to-json.yaml:9:" in result.stdout
    assert carebus("test", "--config", project, "--min-coverage", "75").exit_code == 0


def test_rules_of_libraries_count_once_and_have_cases_of_their_own(
    carebus: Carebus, project: Path
) -> None:
    library = project / "mappings" / "lib" / "people.yaml"
    library.parent.mkdir()
    library.write_text(
        "maps:\n  Name: {args: [xpn], out: {family: = $xpn.1, given: = $xpn.2}}\n"
        "  Left: {args: [cx], out: {value: = $cx.1}}\n"
    )
    change(project, "mappings/adt-to-json.yaml", "out:", "import: [lib/people]\nout:")
    change(
        project,
        "mappings/adt-to-json.yaml",
        "  died",
        "  name: {$use: Name, $with: {xpn: = PID-5}}\n  died",
    )
    result = carebus("test", "--config", project, "--uncovered")
    assert result.exit_code == 0, result.output
    assert "75 % of its 4 rules ran, 0 % of 2 imported ones" in result.stdout
    assert "all mappings together: 3 of 7 rules ran, 42.9 %" in result.stdout
    assert "mappings/lib/people.yaml: 0 of 3 rules ran" in result.stdout
    assert "  no mapping calls: Left" in result.stdout
    assert "  never ran: mappings/lib/people.yaml:3:35 Left.value" in result.stdout

    library.with_name("people.test.yaml").write_text(
        "library: lib/people\ncases:\n"
        "  - {name: a name, map: Name, with: {xpn: A^B}, expect: {family: A, given: B}}\n"
        "  - {name: a number, map: Left, with: {cx: 7^^^H}, expect: {value: 7}}\n"
    )
    result = carebus("test", "--config", project, "--format", "json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [one["name"] for one in told["tested"]] == ["adt-to-json", "lib/people"]
    assert (told["covered"], told["rules"], told["percent"]) == (6, 7, 85.71)
    assert told["files"][0]["uncovered"] == [{"line": 11, "column": 9, "rule": "died"}]
    assert told["files"][1]["uncalled"] == ["Left"]
    assert carebus("test", "--config", project, "--min-coverage", "86").exit_code == 1
    assert carebus("test", "--config", project, "--min-coverage", "85").exit_code == 0


def test_expected_files_are_written_when_asked(carebus: Carebus, project: Path) -> None:
    expect = 'expect: {tenant: north, id: "77", sex: male}'
    change(project, "mappings/adt-to-json.test.yaml", expect, "expect: {file: man.json}")
    assert carebus("test", "--config", project).exit_code == 1
    assert "updated adt-to-json: a man" in carebus("test", "--config", project, "--update").stdout
    assert json.loads((project / "mappings" / "man.json").read_text())["sex"] == "male"
    assert carebus("test", "--config", project).exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("from: his-adt", "from: ward", "there is no inbound channel 'ward'"),
        ("adt.hl7", "none.hl7", "the input cannot be read"),
        ("to: ", "too: ", "too"),
        ("{file: adt.hl7}", "hello", "the input cannot be parsed"),
    ],
)
def test_a_wrong_test_file_is_told(
    carebus: Carebus, project: Path, old: str, new: str, said: str
) -> None:
    change(project, "routes.test.yaml", old, new)
    result = carebus("test", "--config", project)
    assert result.exit_code == 1
    assert said in result.output


def test_a_test_of_no_mapping_is_told(carebus: Carebus, project: Path) -> None:
    change(project, "mappings/adt-to-json.test.yaml", "mapping: adt-to-json", "mapping: adt-to-jsn")
    result = carebus("test", "--config", project)
    assert result.exit_code == 1
    assert "error[P030]" in result.stderr
    assert "adt-to-json: no examples" in result.stdout


# --- the rest


def test_a_project_is_listed(carebus: Carebus, project: Path) -> None:
    rows = [line.split("\t") for line in carebus("list", "--config", project).stdout.splitlines()]
    assert ["channel", "ward", "WARD outbound mllp"] in rows
    assert ["mapping", "adt-to-json", "hl7v2 → json"] in rows
    assert {row[1] for row in rows if row[0] == "connector"} >= {"mllp", "http", "fhir", "file"}


@pytest.mark.parametrize(
    ("connector", "direction"),
    [
        ("mllp", "inbound"),
        ("mllp", "outbound"),
        ("http", "inbound"),
        ("http", "outbound"),
        ("fhir", "outbound"),
        ("file", "inbound"),
        ("file", "outbound"),
    ],
)
def test_a_created_channel_has_nothing_wrong_but_its_placeholders(
    carebus: Carebus, project: Path, connector: str, direction: str
) -> None:
    words = ("create", f"{connector}:new-one", "--direction", direction, "--config", project)
    printed = carebus(*words)
    assert printed.exit_code == 0, printed.output
    assert not re.search(r"(?m) +$", printed.stdout)
    assert ("format: fhir " in printed.stdout) is (connector == "fhir")
    assert carebus(*words, "--write").exit_code == 0
    path = project / "channels" / "new-one.yaml"
    assert path.read_text() == printed.stdout
    assert carebus(*words, "--write").exit_code == 2
    (project / "channels" / "his-adt.yaml").unlink()  # it has the port of the example
    path.write_text(
        printed.stdout.replace("CHANGE-ME", "/srv/x" if connector == "file" else "https://emr.x/")
    )
    result = carebus("lint", path, "--format", "json")
    wrong = [one for one in json.loads(result.stdout) if one["severity"] == "error"]
    assert wrong == []


@pytest.mark.parametrize("what", ["mllp", "mlp:x", "mllp:Bad Name", "mllp:two-ways"])
def test_a_wrong_create_is_told(carebus: Carebus, what: str) -> None:
    assert carebus("create", what).exit_code == 2


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("mllp", "settings of an inbound channel:"),
        ("date", "→"),
        ("tls", "  require_client_certificate Servers: refuse peers"),
        ("tls.yaml", "profiles:"),
        ("C204", "error[C204]"),
        ("p024", "error[P024]"),
        ("STORE-LOCKED", "another engine"),
        ("JSON-DEPTH", "nested too deeply"),
    ],
)
def test_anything_is_described(carebus: Carebus, what: str, said: str) -> None:
    result = carebus("describe", what)
    assert result.exit_code == 0
    assert said in result.stdout


def test_a_connectors_code_is_described_and_a_near_name_offered(carebus: Carebus) -> None:
    listed = [line.split("\t") for line in carebus("describe").stdout.splitlines()]
    [code] = [row[1] for row in listed if row[0] == "code" and row[1].startswith("MLLP-")][:1]
    assert carebus("describe", code).exit_code == 0
    wrong = carebus("describe", "mlp")
    assert wrong.exit_code == 2
    assert "did you mean mllp" in wrong.stderr


_ENGINE_CODE = re.compile(r'"((?:FLOW|STORE|BROKER|TLS|ARCHIVE|BACKUP)-[A-Z-]+)"')


def test_every_code_the_engine_can_give_is_described() -> None:
    """Codes stand in the source as texts; each has an entry, and each entry is still in use."""
    root = Path(__file__).parents[3] / "engine"
    found: set[str] = set()
    for room in ("flow", "store", "broker", "security"):
        for path in (root / room).rglob("*.py"):
            found |= set(_ENGINE_CODE.findall(path.read_text()))
    assert found == set(ENGINE_CODES)


def test_schemas_are_printed_and_written(carebus: Carebus, tmp_path: Path) -> None:
    assert "$schema" in json.loads(carebus("schema", "channel").stdout)
    assert carebus("schema", "--out", tmp_path).exit_code == 0
    assert {path.name for path in tmp_path.glob("*.json")} == {
        "channel.json",
        "routes.json",
        "mapping.json",
        "tls.json",
    }
    assert carebus("schema").exit_code == 2


def test_channels_are_checked_against_real_ports(carebus: Carebus, project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        change(project, "channels/ward.yaml", "port: 9", f"port: {server.getsockname()[1]}")
        good = carebus("check", "ward", "--config", project)
    assert good.exit_code == 0, good.output
    bad = carebus("check", "ward", "--config", project)
    assert bad.exit_code == 1
    assert "failed" in bad.stdout
    assert carebus("check", "wrad", "--config", project).exit_code == 2


def test_help_is_quick_and_names_every_command() -> None:
    started = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, "-m", "engine.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    took = time.perf_counter() - started
    for name in ("run", "status", "messages", "replay", "cancel", "send", "lint", "test", "map"):
        assert f" {name} " in shown.stdout
    # 0.25 s on a quiet machine; the bound only notices that something heavy is imported again.
    assert took < 3


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from engine.cli import main; "
        "heavy = {'sqlalchemy', 'pydantic', 'aiohttp', 'starlette', 'uvicorn', 'structlog', 'yaml',"
        " 'prometheus_client', 'uvloop'}; sys.exit(bool(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3])
    assert done.returncode == 0
