"""What programs read: JSON, and SARIF that says the same."""

from __future__ import annotations

import orjson

from engine.syntax import Diagnostics, Position
from engine.syntax.report import to_json, to_sarif


def some() -> Diagnostics:
    diagnostics = Diagnostics()
    diagnostics.add("C301", Position("channels/x.yaml", 3, 1), "unused")
    diagnostics.add("Y102", Position("channels/a.yaml", 2, 5), "twice", length=4, help="delete")
    return diagnostics


def test_json() -> None:
    first, second = orjson.loads(orjson.dumps(to_json(some().items)))
    assert first == {
        "code": "Y102",
        "severity": "error",
        "message": "twice",
        "file": "channels/a.yaml",
        "line": 2,
        "column": 5,
        "length": 4,
        "help": "delete",
    }
    assert second["severity"] == "warning"
    assert second["help"] is None


def test_sarif() -> None:
    log = orjson.loads(orjson.dumps(to_sarif(some().items, version="0.1.0")))
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in rules] == ["C301", "Y102"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    first = run["results"][0]
    assert first["level"] == "error"
    assert first["message"]["text"] == "twice (delete)"
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "channels/a.yaml"
    assert place["region"] == {"startLine": 2, "startColumn": 5, "endColumn": 9}


def test_nothing_wrong_is_a_run_without_results() -> None:
    assert to_sarif([], version="0.1.0")["runs"][0]["results"] == []
