"""The mappings that the documentation shows give the output that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.config.connectors import find_connectors
from engine.config.load import load
from engine.config.model import Configuration
from engine.contract import ChannelName, MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.mapping.examples import run_examples

DOCS = Path(__file__).parents[3] / "docs"
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


def fenced(page: str, language: str) -> Iterator[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    yield from re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def project(page: str, root: Path) -> Configuration:
    """The files that the page's blocks name in their first lines."""
    (root / "routes.yaml").write_text("routes: []\n")
    for block in fenced(page, "yaml"):
        named = re.match(r"# ([\w./-]+\.yaml)", block)
        if named is not None:
            path = root / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block, encoding="utf-8")
    loaded = load(root, connectors=find_connectors()[0], environ={})
    assert loaded.configuration is not None, [str(one) for one in loaded.diagnostics]
    return loaded.configuration


def message(page: str) -> Payload:
    (text,) = [block for block in fenced(page, "text") if block.startswith("MSH")]
    return Payload(text.replace("\n", "\r").encode())


def shown_json(page: str) -> str:
    """The first JSON that the page shows, with the digits of its numbers."""
    text = (DOCS / page).read_text(encoding="utf-8")
    start = text.index("\n{\n") + 1
    return text[start : text.index("\n}\n", start) + 2]


@pytest.mark.parametrize(
    ("page", "mapping", "params"),
    [("tutorial.md", "admission", {}), ("mapping.md", "results", {"tenant": "north"})],
)
def test_shown_output(page: str, mapping: str, params: dict[str, str], tmp_path: Path) -> None:
    compiled = project(page, tmp_path).mappings[mapping]
    document = FORMATS["hl7v2"].parse(message(page))
    context = MapContext(MessageId("shown"), NOW, ChannelName(""), params)
    assert json.loads(compiled.render(document, context).body) == json.loads(shown_json(page))


@pytest.mark.parametrize(
    ("page", "mapping", "sample", "expected"),
    [
        ("tutorial.md", "admission", "admission.hl7", "mappings/admission.expected.json"),
        ("mapping.md", "results", "mappings/samples/oru.hl7", "mappings/samples/oru.json"),
    ],
)
def test_shown_tests_pass(
    page: str, mapping: str, sample: str, expected: str, tmp_path: Path
) -> None:
    compiled = project(page, tmp_path).mappings[mapping]
    for name, body in (
        (sample, message(page).body),
        (expected, shown_json(page).encode()),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    report = run_examples(tmp_path / f"mappings/{mapping}.test.yaml", compiled)
    assert report.passed, [case.problems for case in report.cases]


def test_other_formats_do_what_the_page_says(tmp_path: Path) -> None:
    mappings = project("mapping.md", tmp_path).mappings
    context = MapContext(MessageId("shown"), NOW)
    cda = FORMATS["cda"].parse(
        Payload(
            b"""<ClinicalDocument xmlns="urn:hl7-org:v3"><id extension="D1"/><recordTarget>
            <patientRole><id root="1.2.3" extension="77"/><patient><name><given>Anna</given>
            <family>Li</family></name></patient></patientRole></recordTarget><component>
            <structuredBody><component><section><code code="11450-4"/><text><content ID="p">Asthma
            </content></text><entry><act><text><reference value="#p"/></text></act></entry>
            </section></component></structuredBody></component></ClinicalDocument>"""
        )
    )
    body = mappings["visit"].render(cda, context).body.decode()
    assert '<v:Visit id="D1"><v:Patient code="77"><v:Name>Anna Li</v:Name>' in body
    assert "<v:Problem>Asthma</v:Problem></v:Visit></soap:Body></soap:Envelope>" in body
    table = FORMATS["delimited"].parse(Payload(b"id;date of birth\n1;19610615\n"))
    assert mappings["patients"].apply(table, context) == [{"id": "1", "born": "1961-06-15"}]
