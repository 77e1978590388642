"""A good project becomes a configuration that says what its files say."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config.connectors import find_connectors
from engine.config.load import check_channel, load
from engine.config.model import Alerts, Keep, Ordering, RetryPolicy
from engine.contract import Limits, MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.syntax.render import render
from tests.unit.config.projects import (
    CONNECTORS,
    ENVIRON,
    GOOD,
    INBOUND,
    MAPPING,
    OUTBOUND,
    ROUTES,
    configuration,
    load_project,
    write,
)

ADT = (
    b"MSH|^~\\&|HIS|A|LIS|B|20240115||ADT^A01|77|P|2.5.1\r"
    b"PID|||4711^^^HIS\r"
    b"PV1||I|||||||||||||||||V-9\r"
    b"OBR||O-1\r"
)


def context() -> MapContext:
    return MapContext(MessageId("0"), datetime(2024, 1, 15, tzinfo=UTC))


def test_the_defaults(tmp_path: Path) -> None:
    made = configuration(tmp_path)
    his, emr = made.channels["his"], made.channels["emr"]
    assert (his.system, his.direction, his.spec, his.format.name) == (
        "HIS",
        "inbound",
        CONNECTORS["wire"],
        "hl7v2",
    )
    assert his.role is CONNECTORS["wire"].source
    assert his.settings.model_dump() == {
        "host": "127.0.0.1",
        "port": 2575,
        "keep_alive": True,
        "tls": None,
    }
    assert (his.acknowledge, his.duplicates, his.unrouted, his.limits) == (
        "accepted",
        None,
        "error",
        Limits(),
    )
    assert (his.keep, his.alerts, his.charset, his.timezone) == (Keep(), Alerts(), None, None)
    assert (emr.ordering, emr.retry, emr.on_uncertain) == (Ordering(), RetryPolicy(), "hold")
    assert his.location == "channels/his.yaml:1:1"


def test_everything_written_is_there(tmp_path: Path) -> None:
    made = configuration(
        tmp_path,
        {
            "channels/his.yaml": INBOUND
            + "charset: gb18030\n"
            + "timezone: Asia/Shanghai\n"
            + "acknowledge: delivered\n"
            + "duplicates: {key: [MSH-3, = MSH-10], within: 24h}\n"
            + "unrouted: ignore\n"
            + "limits: {message: 1MiB, connections: 5, idle: 10m, rate: 500/s}\n"
            + "index: {patient: PID-3.1, ward: = PV1-3.1 ?? 'none'}\n"
            + "keep: {content: 30d, events: 1y}\n"
            + "alerts: {queue_over: 10, oldest_over: 5m, idle_over: 30m}\n",
            "channels/emr.yaml": OUTBOUND
            + "ordering: {key: ward, lanes: 8}\n"
            + "retry: {first: 500ms, factor: 1.5, max: 1m, give_up: never, jitter: 0}\n"
            + "on_uncertain: hold\n",
        },
    )
    his, emr = made.channels["his"], made.channels["emr"]
    assert (his.charset, his.timezone, his.acknowledge) == ("gb18030", "Asia/Shanghai", "delivered")
    assert his.unrouted == "ignore"
    assert his.limits == Limits(1024 * 1024, 5, timedelta(minutes=10), 500.0)
    assert his.keep == Keep(timedelta(days=30), timedelta(days=365))
    assert his.alerts == Alerts(10, timedelta(minutes=5), timedelta(minutes=30))
    assert his.duplicates is not None
    assert his.duplicates.within == timedelta(hours=24)
    document = FORMATS["hl7v2"].parse(Payload(ADT))
    assert [one.text(document, context()) for one in his.duplicates.key] == ["HIS", "77"]
    assert {name: one.text(document, context()) for name, one in his.index.items()} == {
        "patient": "4711",
        "ward": "none",
    }
    assert emr.ordering == Ordering("keyed", key="ward", lanes=8)
    assert emr.retry == RetryPolicy(
        timedelta(milliseconds=500), 1.5, timedelta(minutes=1), None, 0.0
    )


def test_hl7_is_indexed_by_patient_visit_and_order(tmp_path: Path) -> None:
    index = configuration(tmp_path).channels["his"].index
    document = FORMATS["hl7v2"].parse(Payload(ADT))
    found = {name: one.text(document, context()) for name, one in index.items()}
    assert found == {"patient": "4711", "visit": "V-9", "order": "O-1"}
    with_orc = FORMATS["hl7v2"].parse(Payload(ADT + b"ORC||O-2\r"))
    assert index["order"].text(with_orc, context()) == "O-2"


def test_no_index_is_an_answer(tmp_path: Path) -> None:
    made = configuration(tmp_path, {"channels/his.yaml": INBOUND + "index: {}\n"})
    assert made.channels["his"].index == {}


def test_an_ordering_key_may_be_a_path(tmp_path: Path) -> None:
    text = OUTBOUND + "ordering: {key: PV1-19.1, lanes: 4}\n"
    ordering = configuration(tmp_path, {"channels/emr.yaml": text}).channels["emr"].ordering
    assert (ordering.kind, ordering.key, ordering.lanes) == ("keyed", None, 4)
    assert ordering.key_expression is not None
    document = FORMATS["hl7v2"].parse(Payload(ADT))
    assert ordering.key_expression.text(document, context()) == "V-9"


def test_no_ordering_with_concurrency(tmp_path: Path) -> None:
    text = OUTBOUND + "ordering: none\nconcurrency: 16\n"
    made = configuration(tmp_path, {"channels/emr.yaml": text})
    assert made.channels["emr"].ordering == Ordering("none", concurrency=16)


def test_routes(tmp_path: Path) -> None:
    made = configuration(
        tmp_path,
        {
            "channels/lis.yaml": INBOUND.replace("2575", "2576"),
            "channels/archive.yaml": OUTBOUND.replace("json", "raw"),
            "mappings/to-json.yaml": MAPPING + "  tenant: = $tenant\n" + "params: {tenant: text}\n",
            "routes.yaml": ROUTES.replace(
                "mapping: to-json", "mapping: to-json, params: {tenant: '${env:FLAG}'}"
            )
            + "  - name: all\n"
            + "    from: [his, lis]\n"
            + "    to:\n"
            + "      - {channel: archive, name: tap}\n"
            + "      - {channel: archive, when: = PV1-2 == 'I'}\n",
        },
    )
    admissions, everything = made.routes
    assert made.routes_from("his") == (admissions, everything)
    assert made.routes_from("lis") == (everything,)
    assert made.routes_from("emr") == ()
    assert everything.origins == ("his", "lis")
    assert [target.name for target in everything.targets] == ["tap", "archive"]
    (target,) = admissions.targets
    assert target.mapping is made.mappings["to-json"]
    assert target.params == {"tenant": "false"}
    document = FORMATS["hl7v2"].parse(Payload(ADT))
    assert admissions.when is not None
    assert admissions.when.test(document, context())
    assert everything.targets[0].mapping is None
    assert everything.targets[1].when is not None
    assert everything.targets[1].when.test(document, context())


def test_what_is_only_passed_on_may_have_any_format(tmp_path: Path) -> None:
    made = configuration(
        tmp_path,
        {
            "channels/api.yaml": INBOUND.replace("hl7v2", "json").replace("2575", "0"),
            "channels/emr.yaml": OUTBOUND.replace("json", "raw"),
            "mappings/to-json.yaml": None,
            "routes.yaml": "routes: [{name: all, from: [his, api], to: [{channel: emr}]}]\n",
        },
    )
    assert made.routes[0].origins == ("his", "api")


def test_the_configuration_is_immutable(tmp_path: Path) -> None:
    made = configuration(tmp_path)
    assert isinstance(made.channels, MappingProxyType)
    assert isinstance(made.mappings, MappingProxyType)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.channels["his"].system = "other"  # type: ignore[misc]


def test_versions_follow_the_content(tmp_path: Path) -> None:
    first = configuration(tmp_path / "a")
    same = configuration(
        tmp_path / "b",
        {"channels/his.yaml": "# a comment\n" + INBOUND.replace("{port: 2575}", "\n  port: 2575")},
    )
    other = configuration(tmp_path / "c", {"channels/his.yaml": INBOUND + "unrouted: ignore\n"})
    assert first.version == same.version
    assert first.channels["his"].version == same.channels["his"].version
    assert first.channels["his"].version != other.channels["his"].version
    assert first.channels["emr"].version == other.channels["emr"].version
    assert first.routes[0].version == other.routes[0].version
    assert first.version != other.version


def test_a_version_knows_the_reference_and_not_the_secret(tmp_path: Path) -> None:
    text = OUTBOUND.replace("port: 2600", "port: 2600, token: '${env:LIS_PASSWORD}'")
    root = write(tmp_path, {"channels/emr.yaml": text})
    versions = {
        load(root, connectors=CONNECTORS, environ={"LIS_PASSWORD": secret}).configuration.version  # type: ignore[union-attr]
        for secret in ("one", "two")
    }
    assert len(versions) == 1


def test_settings_are_not_shown(tmp_path: Path) -> None:
    text = OUTBOUND.replace("port: 2600", "port: 2600, token: '${env:LIS_PASSWORD}'")
    made = configuration(tmp_path, {"channels/emr.yaml": text})
    assert "s3cr3t" not in repr(made)
    assert made.channels["emr"].settings.token.get_secret_value() == "s3cr3t"  # type: ignore[attr-defined]


def test_a_secret_that_is_written_out_is_not_shown_by_its_neighbour(tmp_path: Path) -> None:
    text = OUTBOUND.replace("port: 2600", "port: 0x1, token: hunter2")
    loaded = load_project(tmp_path, {"channels/emr.yaml": "# 中文\r\n" + text})
    assert {found.code for found in loaded.diagnostics} == {"Y202", "C114"}
    shown = "".join(render(one, loaded.sources[one.position.file]) for one in loaded.diagnostics)
    assert "token: •••••••}" in shown
    assert "hunter2" not in shown


def test_expressions_are_checked_although_other_keys_are_wrong(tmp_path: Path) -> None:
    text = INBOUND + "index: {patient: PID-, Visit: PV1-19}\nduplicates: {key: [MSH-], within: 1}\n"
    loaded = load_project(tmp_path, {"channels/his.yaml": text})
    places = [(one.position.line, one.position.column) for one in loaded.diagnostics]
    assert {line for line, _ in places} == {6, 7}
    assert (6, 24) in places  # the key 'Visit'
    assert len(places) == 4


def test_tls_profiles(tmp_path: Path) -> None:
    made = configuration(
        tmp_path,
        {
            "tls.yaml": "profiles:\n"
            "  hospital:\n"
            "    ca: certificates/ca.pem\n"
            "    minimum_version: 1.3\n"
            "    key_password: ${env:LIS_PASSWORD}\n",
            "channels/his.yaml": INBOUND.replace("port: 2575", "port: 2575, tls: hospital"),
            "channels/emr.yaml": OUTBOUND.replace(
                "port: 2600", "port: 2600, tls: {ca: ca.pem, verify_host: false}"
            ),
        },
    )
    assert made.tls["hospital"].ca == Path("certificates/ca.pem")
    assert made.tls["hospital"].minimum_version == "1.3"
    assert "s3cr3t" not in repr(made.tls)
    assert made.channels["his"].settings.tls == "hospital"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("tls", "code"),
    [
        ("profiles: {a: {cert: x}}", "C101"),
        ("profiles: {a: {key_password: hunter2}}", "C114"),
        ("profiles: {A: {ca: x}}", "C103"),
        ("profile: {}", "C101"),
        ("- a", "Y205"),
        ("profiles: [a]", "Y205"),
        ("profiles: {a: b}", "Y205"),
    ],
)
def test_wrong_tls_profiles(tmp_path: Path, tls: str, code: str) -> None:
    loaded = load_project(tmp_path, {"tls.yaml": tls + "\n"})
    assert code in {found.code for found in loaded.diagnostics}
    assert loaded.configuration is None


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    loaded = load_project(
        tmp_path,
        {
            "channels/his.yaml": INBOUND + "charsett: x\ntimezone: Mars/Base\n",
            "channels/emr.yaml": OUTBOUND + "retry: {first: 10}\n",
            "routes.yaml": ROUTES.replace("to-json", "tojson"),
        },
    )
    assert [found.code for found in loaded.diagnostics] == ["C103", "C101", "C124", "C204"]


def test_one_mistake_in_a_channel_is_one_diagnostic(tmp_path: Path) -> None:
    """The route that names the channel has nothing wrong."""
    for broken in (INBOUND + "\tx", INBOUND.replace("wire", "wyre"), "a list\n"):
        loaded = load_project(tmp_path, {"channels/his.yaml": broken})
        assert len(loaded.diagnostics) == 1
        assert loaded.diagnostics[0].position.file == "channels/his.yaml"


def test_one_mistake_in_a_mapping_is_one_diagnostic(tmp_path: Path) -> None:
    loaded = load_project(
        tmp_path, {"mappings/to-json.yaml": MAPPING.replace("PID-3[1].1", "PID-3.")}
    )
    assert {found.position.file for found in loaded.diagnostics} == {"mappings/to-json.yaml"}


def test_tests_and_libraries_are_no_mappings(tmp_path: Path) -> None:
    made = configuration(
        tmp_path,
        {
            "mappings/to-json.test.yaml": "mapping: to-json\ncases: []\n",
            "mappings/lib/names.yaml": "maps:\n  Id: {args: [cx], out: {value: = $cx.1}}\n",
            "mappings/to-json.yaml": MAPPING.replace("out:", "import: [lib/names]\nout:")
            + "  ids: = PID-3[*] | each('Id')\n",
        },
    )
    assert made.mappings.keys() == {"to-json"}


def test_sources_show_every_file_that_was_read(tmp_path: Path) -> None:
    loaded = load_project(tmp_path)
    assert loaded.sources.keys() == GOOD.keys()
    assert loaded.sources["routes.yaml"] == ROUTES


def test_an_empty_directory(tmp_path: Path) -> None:
    loaded = load(tmp_path, connectors=CONNECTORS, environ={})
    assert [found.code for found in loaded.diagnostics] == ["C002"]
    assert load(tmp_path / "nowhere", connectors={}, environ={}).configuration is None


@pytest.mark.parametrize("null", ["~", "null"])
@pytest.mark.parametrize(
    ("old", "new"),
    [("HIS", "{}"), ("wire", "{}"), ("hl7v2", "{}"), ("2575", "{}"), ("2575", "2575, tls: {}")],
)
def test_a_null_is_one_mistake(tmp_path: Path, null: str, old: str, new: str) -> None:
    text = INBOUND.replace(old, new.format(null))
    found = load_project(tmp_path, {"channels/his.yaml": text}).diagnostics
    assert [one.code for one in found] == ["Y108"]


@pytest.mark.parametrize(("connector", "lanes"), [("wire", 4), ("web", 1)])
def test_lanes_are_as_many_as_the_connector_can_send(
    tmp_path: Path, connector: str, lanes: int
) -> None:
    text = OUTBOUND.replace("wire", connector) + "ordering: {key: patient}\n"
    if connector == "web":
        text = text.replace("{host: 127.0.0.1, port: 2600}", "{url: http://127.0.0.1/}")
    loaded = configuration(tmp_path, {"channels/emr.yaml": text})
    assert loaded.channels["emr"].ordering == Ordering("keyed", key="patient", lanes=lanes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http\nsettings: {port: 8080, path: /a}", "http\nsettings: {port: 8080, path: /b}"),
        ("http\nsettings: {port: 8080}", "mllp\nsettings: {host: 127.0.0.1, port: 8080}"),
        ("mllp\nsettings: {port: 8080}", "mllp\nsettings: {host: 0.0.0.0, port: 8080}"),
    ],
)
def test_real_connectors_cannot_share_a_port(tmp_path: Path, first: str, second: str) -> None:
    text = "system: HIS\ndirection: inbound\nformat: hl7v2\nconnector: "
    write(
        tmp_path,
        {
            "channels/his.yaml": f"{text}{first}\n",
            "channels/lis.yaml": f"{text}{second}\n",
            "channels/emr.yaml": None,
            "channels/ward.yaml": f"{text}mllp\nsettings: {{host: 127.0.0.1, port: 9}}\n".replace(
                "inbound", "outbound"
            ),
            "mappings/to-json.yaml": None,
            "routes.yaml": "routes: [{name: all, from: [his, lis], to: [{channel: ward}]}]\n",
        },
    )
    found = load(tmp_path, connectors=find_connectors()[0], environ={}).diagnostics
    assert [(one.code, one.position.file) for one in found] == [("C130", "channels/lis.yaml")]


def test_one_channel_by_itself() -> None:
    ok = check_channel("his", INBOUND, connectors=CONNECTORS, environ=ENVIRON)
    assert ok == ()
    secret = OUTBOUND.replace("port: 2600", "port: 2600, token: '${env:NOT_HERE}', tls: hospital")
    assert check_channel("emr", secret, connectors=CONNECTORS, environ={}) == ()
    (found,) = check_channel("his", INBOUND + "x: 1\n", connectors=CONNECTORS, environ={})
    assert found.code == "C101"


_VALUES = st.recursive(
    st.sampled_from(["a", "5s", "''", "= PID-3", "no", "null", "1", "${env:X}", "his", "[", "{"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.dictionaries(
            st.sampled_from(["key", "host", "port", "channel", "first", "name", "to", "auth"]),
            inner,
            max_size=3,
        ).map(lambda keys: "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"),
    ),
    max_leaves=5,
)
_KEYS = st.sampled_from(
    [
        *("system", "direction", "connector", "settings", "format", "index", "duplicates"),
        *("ordering", "retry", "limits", "keep", "alerts", "charset"),
        *("routes", "from", "when", "to", "profiles"),
    ]
)


@given(
    name=st.sampled_from(["routes.yaml", "channels/his.yaml", "channels/emr.yaml", "tls.yaml"]),
    keys=st.dictionaries(_KEYS, _VALUES, max_size=4),
    keep=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_written_makes_loading_raise(
    tmp_path: Path, name: str, keys: dict[str, str], keep: bool
) -> None:
    before = GOOD.get(name, "") if keep else ""
    kept = [line for line in before.splitlines() if line.split(":")[0] not in keys]
    text = "\n".join([*kept, *(f"{key}: {value}" for key, value in keys.items()), ""])
    loaded = load_project(tmp_path, {"tls.yaml": None, name: text})
    errors = [found for found in loaded.diagnostics if found.severity == "error"]
    assert (loaded.configuration is None) is bool(errors)


def test_validation_is_off_unless_it_is_written(tmp_path: Path) -> None:
    assert configuration(tmp_path).channels["his"].validation is None
    off = configuration(tmp_path, {"channels/emr.yaml": OUTBOUND + "validate: off\n"})
    assert off.channels["emr"].validation is None


def test_validation_by_a_schema_of_the_project(tmp_path: Path) -> None:
    files = {
        "channels/emr.yaml": OUTBOUND + "validate: {level: warn, schema: schemas/patient.json}\n",
        "schemas/patient.json": '{"required": ["patient"]}',
    }
    emr = configuration(tmp_path, files).channels["emr"]
    assert emr.validation is not None
    assert emr.validation.level == "warn"
    (found,) = emr.validation.validator(FORMATS["json"].parse(Payload(b"{}")))
    assert str(found) == "$: 'patient' is missing"
    changed = configuration(tmp_path, {**files, "schemas/patient.json": "{}"}).channels["emr"]
    assert changed.version != emr.version
    assert changed.validation is not None
    assert changed.validation.validator(FORMATS["json"].parse(Payload(b"{}"))) == ()
