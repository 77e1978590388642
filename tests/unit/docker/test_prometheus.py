"""The alarms, tried by Prometheus' own tool, on the metrics that the engine really has."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.api.metrics import Metrics
from engine.contract import ErrorInfo, Stage
from engine.flow.alerts import Alert
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docker" / "prometheus"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def promtool(*words: object) -> None:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def offered() -> dict[str, set[str]]:
    """Every series of an engine with one channel each way, and its labels' names."""
    error = ErrorInfo("MLLP-NO-REPLY", "no reply", Stage.SENDING)
    channels = tuple(
        ChannelStatus(
            name=name,
            system="S",
            direction=direction,
            connector="mllp",
            state=ChannelState.RUNNING,
            since=NOW,
            last_error=error,
            alerts=(Alert.OLDEST_OVER,),
        )
        for name, direction in (("his", "inbound"), ("ward", "outbound"))
    )
    status = EngineStatus(NOW, "v", True, channels, None)
    text = Metrics(now=lambda: NOW).render(status).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_promtool_takes_the_configuration_and_its_rules() -> None:
    promtool("check", "config", FOLDER / "prometheus.yaml")


def test_the_alarms_ring_when_they_should() -> None:
    promtool("test", "rules", Path(__file__).parent / "alarms.yaml")


def test_every_alarm_is_tried() -> None:
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))
    names = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tried = (Path(__file__).parent / "alarms.yaml").read_text("utf-8")
    assert names == set(re.findall(r"alertname: (\w+)", tried))


def test_rules_name_series_and_labels_that_the_engine_has() -> None:
    series = offered()
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))
    used = set()
    for group in rules["groups"]:
        for rule in group["rules"]:
            for name, selector in re.findall(r"\b(carebus_\w+)(?:{([^}]*)})?", rule["expr"]):
                used.add(name)
                assert name in series, f"{rule['alert']}: {name}"
                assert set(re.findall(r"(\w+)=", selector)) <= series[name]
            for by in re.findall(r"by \(([^)]*)\) \((?:increase\()?(carebus_\w+)", rule["expr"]):
                assert set(by[0].split(", ")) <= series[by[1]], rule["alert"]
    assert len(used) >= 9


def test_prometheus_asks_the_engines_of_the_compose_file() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf-8"))
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    targets = {
        target.split(":")[0]
        for job in config["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    }
    assert targets - {"localhost"} == {"engine-a", "engine-b", "rabbitmq"}
    assert targets - {"localhost"} <= set(compose["services"])
