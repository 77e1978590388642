"""Every code of configuration, as an integration engineer sees it.

Each case is the good project with one thing wrong; the expected texts are in golden/, and
``UPDATE_GOLDEN=1 pytest`` writes them again.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from engine.config.connectors import find_connectors
from engine.mapping import functions
from engine.syntax import CODES
from engine.syntax.render import render
from tests.unit.config.projects import (
    GOOD,
    INBOUND,
    MAPPING,
    OUTBOUND,
    ROUTES,
    load_project,
)

GOLDEN = Path(__file__).parent / "golden"
Files = dict[str, str | bytes | None]


def his(text: str) -> Files:
    return {"channels/his.yaml": INBOUND + text}


def emr(text: str) -> Files:
    return {"channels/emr.yaml": OUTBOUND + text}


def settings(text: str) -> Files:
    return {"channels/emr.yaml": OUTBOUND.replace("port: 2600", f"port: 2600, {text}")}


def routes(old: str, new: str, **more: str) -> Files:
    assert old in ROUTES
    return {"routes.yaml": ROUTES.replace(old, new), **more}


TARGET = "{channel: emr, mapping: to-json}"
SECOND_ROUTE = "  - {name: second, from: %s, to: [{channel: emr, mapping: to-json}]}\n"
WITH_PARAMS = MAPPING + "  tenant: = $tenant\nparams: {tenant: %s}\n"

CASES: dict[str, Files] = {
    "C002": {"routes.yaml": None},
    "C003": {"channels/My Channel.yaml": INBOUND},
    "C003-yml": {"channels/lis.yml": INBOUND},
    "C101": his("charsett: gb18030\n"),
    "C101-setting": settings("timeuot: 5s"),
    "C101-limit": his("limits: {message: 16MiB, conections: 5}\n"),
    "C101-routes": routes("routes:", "rootes: []\nroutes:"),
    "C101-target": routes(TARGET, "{channel: emr, maping: to-json}"),
    "C102": {"channels/his.yaml": INBOUND.replace("system: HIS\n", "")},
    "C102-setting": {"channels/his.yaml": INBOUND.replace("settings: {port: 2575}\n", "")},
    "C102-nested": settings("auth: {user: x}"),
    "C102-route": routes("    from: his\n", ""),
    "C103": emr("retry: {first: 10}\n"),
    "C103-range": emr("ordering: {key: patient, lanes: 1000}\n"),
    "C103-choice": his("acknowledge: processed\n"),
    "C103-port": settings("chunk: 10MB"),
    "C103-union": emr("ordering: fifo\n"),
    "C103-many": settings("timeout: soon, ratio: 2, statuses: [200, x]"),
    "C103-param": {
        "mappings/to-json.yaml": WITH_PARAMS % "number",
        **routes(TARGET, "{channel: emr, mapping: to-json, params: {tenant: x}}"),
    },
    "C104": his("charset:\n"),
    "C105": emr("acknowledge: accepted\n"),
    "C105-keep": emr("keep: {content: 30d}\n"),
    "C105-inbound": his("retry: {first: 1s}\n"),
    "C110": settings("token: '${vault:lis}'"),
    "C111": settings("token: '${env:LIS_PASSWROD}'"),
    "C112": settings("token: '${file:no/such/file}'"),
    "C113": settings("headers: {'${env:FLAG}': x}"),
    "C114": settings("auth: {user: x, password: hunter2}"),
    "C114-token": settings("token: abc"),
    "C120": {"channels/emr.yaml": OUTBOUND.replace("wire", "wyre")},
    "C121": {"channels/his.yaml": INBOUND.replace("wire", "web")},
    "C122": {"channels/his.yaml": INBOUND.replace("hl7v2", "hl7")},
    "C123": his("charset: gb20000\n"),
    "C123-codec": his("charset: base64\n"),
    "C124": his("timezone: Asia/Shangai\n"),
    "C125": {
        **settings("tls: hospital-internl"),
        "tls.yaml": "profiles: {hospital-internal: {ca: ca.pem}}\n",
    },
    "C125-none": settings("tls: hospital"),
    "C129": {
        **his("structures: structures/our-lab.txt\n"),
        "structures/our-lab.txt": "ORU_R01: MSH [PID\n",
    },
    "C129-file": his("structures: structures/our-lab.txt\n"),
    "C130": {
        "channels/lis.yaml": INBOUND.replace("port: 2575", "port: 2575, host: 0.0.0.0"),
        **routes("from: his", "from: [his, lis]"),
    },
    "C131": emr("retry: {first: 10m, max: 5m}\n"),
    "C131-zero": emr("retry: {first: 0s}\n"),
    "C131-give-up": emr("retry: {first: 10s, give_up: 5s}\n"),
    "C132": emr("ordering: {key: pateint, lanes: 4}\n"),
    "C132-source": {
        **emr("ordering: {key: patient, lanes: 4}\n"),
        **his("index: {visit: PV1-19.1}\n"),
    },
    "C132-formats": {
        "channels/his.yaml": INBOUND,
        "channels/api.yaml": INBOUND.replace("hl7v2", "json").replace("2575", "0"),
        "channels/emr.yaml": OUTBOUND.replace("json", "raw")
        + "ordering: {key: PID-3.1, lanes: 4}\n",
        "mappings/to-json.yaml": None,
        "routes.yaml": "routes: [{name: all, from: [his, api], to: [{channel: emr}]}]\n",
    },
    "C133": emr("concurrency: 4\n"),
    "C134": emr("on_uncertain: retry\n"),
    "C135": {"channels/emr.yaml": OUTBOUND.replace("127.0.0.1", "emr.example")},
    "C135-url": {
        "channels/emr.yaml": OUTBOUND.replace("wire", "web").replace(
            "{host: 127.0.0.1, port: 2600}", "{url: http://emr.example/fhir}"
        )
    },
    "C136": {
        "channels/emr.yaml": OUTBOUND.replace("wire", "web").replace(
            "{host: 127.0.0.1, port: 2600}", "{url: http://127.0.0.1/fhir}"
        )
        + "ordering: {key: patient, lanes: 4}\n"
    },
    "C136-concurrency": emr("ordering: none\nconcurrency: 301\n"),
    "C138": his("validate: {level: warn, schema: schemas/adt.xsd}\n"),
    "C138-raw": {"channels/his.yaml": INBOUND.replace("hl7v2", "raw") + "validate: reject\n"},
    "C137": {
        "channels/his.yaml": INBOUND.replace("hl7v2", "raw"),
        "channels/emr.yaml": OUTBOUND.replace("json", "raw"),
        **routes(TARGET, "{channel: emr}"),
    },
    "C103-empty": routes("from: his", "from: []"),
    "C139": {
        "channels/his.yaml": INBOUND.replace("wire", "link")
        + "duplicates: {key: [MSH-10], within: 24h}\n"
    },
    "C201": {"routes.yaml": ROUTES + SECOND_ROUTE.replace("second", "admissions") % "his"},
    "C202": routes("from: his", "from: hiss"),
    "C202-target": routes("channel: emr,", "channel: emrr,"),
    "C203": routes("from: his", "from: emr"),
    "C203-target": routes("channel: emr, mapping: to-json", "channel: his"),
    "C204": routes("mapping: to-json", "mapping: tojson"),
    "C205": routes(", mapping: to-json", ""),
    "C205-source": {
        "mappings/to-json.yaml": MAPPING.replace("hl7v2, message: ADT_A01", "json").replace(
            "PID-3[1].1", "$src.id"
        )
    },
    "C205-target": {"channels/emr.yaml": OUTBOUND.replace("json", "fhir")},
    "C206": routes(TARGET, f"{TARGET}\n      - {TARGET}"),
    "C207": routes(TARGET, "{channel: emr, mapping: to-json, params: {tenant: x}}"),
    "C207-no-mapping": {
        **routes(TARGET, "{channel: emr, params: {tenant: x}}"),
        "channels/emr.yaml": OUTBOUND.replace("json", "raw"),
        "mappings/to-json.yaml": None,
    },
    "C208": {"mappings/to-json.yaml": WITH_PARAMS % "text"},
    "C209": routes("    to:\n", "    split: each OBR\n    to:\n"),
    "C209-reply": {
        "routes.yaml": ROUTES
        + "  - name: settle\n    from: his\n"
        + "    reply: {channel: emr, request: to-json, response: to-json, within: 20s}\n"
    },
    "C209-target": routes(TARGET, "{channel: emr, mapping: to-json, fallback: his}"),
    "C210": {
        "channels/api.yaml": INBOUND.replace("hl7v2", "json").replace("2575", "0"),
        **routes("from: his", "from: [his, api]"),
    },
    "C211": routes("from: his", "from: [his, his]"),
    "C212": {
        "channels/his.yaml": INBOUND.replace("hl7v2", "delimited\nlayout: {separator: ';'}"),
        "mappings/to-json.yaml": "mapping: to-json\nfrom: {format: delimited}\nto: {format: json}\n"
        "out:\n  patient: = $src.rows[1].id\n",
        **routes("    when: = MSH-9.1 == 'ADT'\n", ""),
    },
    "C301": {"channels/lis.yaml": INBOUND.replace("2575", "2576")},
    "C301-outbound": {"channels/ward.yaml": OUTBOUND},
    "C302": {
        "mappings/other.yaml": MAPPING.replace("to-json", "other").replace(", message: ADT_A01", "")
    },
    "C302-library": {"mappings/lib/names.yaml": "maps:\n  Id: {args: [cx], out: = $cx.1}\n"},
    "C303": {**dict.fromkeys(GOOD), "routes.yaml": "routes: []\n"},
    "C304": {
        "mappings/other.yaml": MAPPING.replace("to-json", "other"),
        "routes.yaml": ROUTES + SECOND_ROUTE.replace("to-json", "other") % "his",
    },
    "Y201": {"channels/his.yaml": INBOUND.replace("port: 2575", "port: 2575, keep_alive: no")},
    "Y202": {"channels/his.yaml": INBOUND.replace("port: 2575", "port: 0x100")},
    "C102-routes": {**dict.fromkeys(GOOD), "routes.yaml": "# routes come later\n{}\n"},
    "Y202-reference": settings("statuses: ['${env:LIS_PASSWORD}']"),
    "Y205-routes": {**dict.fromkeys(GOOD), "routes.yaml": "- admissions\n"},
    "Y205-route": {**dict.fromkeys(GOOD), "routes.yaml": "routes: [admissions]\n"},
    "Y206-routes": {**dict.fromkeys(GOOD), "routes.yaml": "routes: {name: admissions}\n"},
    "M006": {"mappings/to-json.yaml": MAPPING + "import: [lib/datatype]\n"},
    "Y205": {"channels/his.yaml": INBOUND.replace("{port: 2575}", "2575")},
}


@pytest.mark.parametrize("name", CASES)
def test_one_thing_wrong(name: str, tmp_path: Path) -> None:
    loaded = load_project(tmp_path, CASES[name])
    assert loaded.diagnostics[0].code == name[:4]
    row = CODES[name[:4]]
    assert (loaded.configuration is None) is (row.severity == "error")
    sources = loaded.sources
    compare(name, [render(one, sources.get(one.position.file)) for one in loaded.diagnostics])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    write_only = tmp_path / "channels" / "emr.yaml"
    load_project(tmp_path)
    write_only.unlink()
    (tmp_path / "tls.yaml").mkdir()
    loaded = load_project(tmp_path)
    (found,) = loaded.diagnostics
    compare("C001", [render(found, None)])


@pytest.mark.parametrize(
    ("name", "offers"),
    [
        ("C126", {"wire": "no.such.module:SPEC"}),
        ("C126-no-spec", {"wire": "tests.unit.config.projects:GOOD"}),
        ("C126-contract", {"wire": "tests.unit.config.projects:FUTURE"}),
        ("C126-name", {"wirre": "tests.unit.config.projects:WIRE"}),
    ],
)
def test_a_package_that_cannot_be_used(name: str, offers: dict[str, str]) -> None:
    points = [EntryPoint(key, value, "carebus.connectors") for key, value in offers.items()]
    connectors, found = find_connectors(points)
    assert not connectors
    compare(name, [render(one, None) for one in found])


def test_two_packages_with_one_connector() -> None:
    points = [
        EntryPoint("wire", f"tests.unit.config.projects:{name}", "carebus.connectors")
        for name in ("WIRE", "WEB", "WIRE")
    ]
    connectors, found = find_connectors(points)
    assert not connectors
    compare("C127", [render(one, None) for one in found])


def test_a_package_of_functions_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = [EntryPoint("north", "no.such.module", "carebus.functions")]
    monkeypatch.setattr(functions, "entry_points", lambda *, group: offers)
    (found,) = load_project(tmp_path).diagnostics
    compare("C128", [render(found, None)])


def test_every_code_of_configuration_has_an_example() -> None:
    shown = {path.name[:4] for path in GOLDEN.glob("C*.txt")}
    assert shown == {code for code in CODES if code.startswith("C")}


def compare(name: str, rendered: list[str]) -> None:
    path = GOLDEN / f"{name}.txt"
    got = "\n\n".join(rendered) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")
