"""The metrics are valid exposition text, follow the naming rules, and tell the status."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from engine.api.metrics import Metrics
from engine.contract import ErrorInfo, Stage
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUS = EngineStatus(
    started_at=NOW - timedelta(hours=1),
    version="abc",
    ready=False,
    channels=(
        ChannelStatus(
            "his-adt",
            "HIS",
            "inbound",
            "mllp",
            ChannelState.RUNNING,
            NOW,
            received=10,
            accepted=5,
            duplicates=2,
            rejected=1,
            unavailable=2,
            unrouted=1,
        ),
        ChannelStatus(
            "emr-fhir",
            "EMR",
            "outbound",
            "fhir",
            ChannelState.FAILED,
            NOW,
            sent=4,
            retried=7,
            waiting=3,
            retrying=1,
            uncertain=2,
            dead=9,
            oldest_waiting=NOW - timedelta(seconds=90),
            last_error=ErrorInfo("FHIR-503", "the server is busy", Stage.SENDING),
            blocked=True,
        ),
    ),
)


def samples(status: EngineStatus) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = Metrics(now=lambda: NOW).render(status).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float:
    return samples(STATUS)[name, frozenset(labels.items())]


def test_counts_are_told() -> None:
    assert value("carebus_received_messages_total", channel="his-adt", outcome="accepted") == 5
    assert value("carebus_received_messages_total", channel="his-adt", outcome="duplicate") == 2
    assert value("carebus_received_messages_total", channel="his-adt", outcome="rejected") == 1
    assert value("carebus_received_messages_total", channel="his-adt", outcome="unavailable") == 2
    assert value("carebus_unwanted_messages_total", channel="his-adt", state="unrouted") == 1
    assert value("carebus_sent_deliveries_total", channel="emr-fhir") == 4
    assert value("carebus_retried_deliveries_total", channel="emr-fhir") == 7
    assert value("carebus_deliveries", channel="emr-fhir", state="dead") == 9
    assert value("carebus_deliveries", channel="emr-fhir", state="queued") == 3
    assert value("carebus_oldest_waiting_seconds", channel="emr-fhir") == 90
    assert value("carebus_channel_blocked", channel="emr-fhir") == 1


def test_health_is_told() -> None:
    assert value("carebus_engine_ready") == 0
    state = "carebus_channel_state"
    assert value(state, channel="emr-fhir", direction="outbound", state="failed") == 1
    assert value(state, channel="emr-fhir", direction="outbound", state="running") == 0
    assert value("carebus_channel_last_error", channel="emr-fhir", code="FHIR-503") == 1


def test_names_labels_and_help_follow_the_rules() -> None:
    """What promtool's linter checks: help everywhere, counters end in _total and nothing else
    does, base units, no type in a name; and our own rule of bounded labels."""
    text = Metrics(now=lambda: NOW).render(STATUS).decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    allowed = {"channel", "direction", "state", "outcome", "code"}
    for family in families:
        if not family.name.startswith("carebus_"):
            continue
        assert re.fullmatch(r"carebus(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"(milliseconds|minutes|hours|_ms|counter|gauge)", family.name)
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert set(sample.labels) <= allowed
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= {f.name for f in families}


def test_a_code_that_is_none_becomes_other() -> None:
    error = ErrorInfo("Zhang^Wei 77", "summary", Stage.SENDING)
    channel = ChannelStatus(
        "a", "A", "outbound", "mllp", ChannelState.FAILED, NOW, last_error=error
    )
    found = samples(EngineStatus(NOW, "v", False, (channel,)))
    labels = frozenset({("channel", "a"), ("code", "other")})
    assert found["carebus_channel_last_error", labels] == 1
