"""`structures:`, a sender's own message structures: read, checked, and used by its mappings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.contract import MapContext, MessageId, Payload
from engine.formats import FORMATS
from tests.unit.config.projects import INBOUND, MAPPING, configuration, load_project

OWN = """\
# Our laboratory sends each result after its specimen.
ORU_R01: MSH PID
  {SPECIMEN: SPM
    {OBSERVATION: OBX [{NTE}]}}   # and nothing else
ZLB_Z01: MSH {RESULT: OBX}
"""
FILES = {
    "channels/his.yaml": f"{INBOUND}structures: structures/our-lab.txt\n",
    "structures/our-lab.txt": OWN,
    "mappings/to-json.yaml": MAPPING.replace("ADT_A01", "[ORU_R01, ZLB_Z01]").replace(
        "  patient: = PID-3[1].1",
        '  n:\n    - $for: "s in SPECIMEN[*]"\n      n: = count($s.OBSERVATION[*])\n'
        "  results: = count(RESULT[*])",
    ),
}
ORU = (
    b"MSH|^~\\&|A|B|C|D|2024||ORU^R01|1|P|2.5.1\rPID|1\rSPM|1\rOBX|1\rNTE|1\rOBX|2\rSPM|2\rOBX|1\r"
)


def test_the_channels_own_structures_come_first(tmp_path: Path) -> None:
    made = configuration(tmp_path, FILES)
    channel, mapping = made.channels["his"], made.mappings["to-json"]
    context = MapContext(
        MessageId("0"), datetime(2024, 1, 15, tzinfo=UTC), structures=channel.structures
    )
    document = FORMATS["hl7v2"].parse(Payload(ORU))
    assert mapping.apply(document, context) == {"n": [{"n": 2}, {"n": 1}], "results": 0}
    document = FORMATS["hl7v2"].parse(Payload(ORU.replace(b"ORU^R01", b"ZLB^Z01")))
    assert mapping.apply(document, context) == {"results": 3}


def test_a_structure_that_changes_changes_the_channel(tmp_path: Path) -> None:
    before = configuration(tmp_path, FILES)
    after = configuration(
        tmp_path, {**FILES, "structures/our-lab.txt": OWN.replace("[{NTE}]", "[NTE]")}
    )
    assert before.channels["his"].version != after.channels["his"].version
    assert before.version != after.version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file structures/our-lab.txt"),
        ("", "structures/our-lab.txt: there is no structure in it"),
        ("  MSH", "structures/our-lab.txt: line 1: a structure begins at the start of a line"),
        ("A_B: MSH\nA_B: MSH", "structures/our-lab.txt: line 2: A_B stands here twice"),
        ("A_B: MSH [PID", "structures/our-lab.txt: '[' is never closed"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str | None, message: str) -> None:
    found = load_project(tmp_path, {**FILES, "structures/our-lab.txt": text}).diagnostics
    assert [(one.code, one.message) for one in found] == [("C129", message)]
