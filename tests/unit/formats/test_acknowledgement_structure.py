"""hl7apy, strict: our acknowledgements have the structure, fields and tables of their version.

Before 2.3.1 a message does not name its structure, and hl7apy cannot tell which one to check.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from engine.contract import ErrorInfo, MessageId, Outcome, Receipt, Stage
from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.acknowledgement import acknowledge

ERROR = ErrorInfo("HL7-TEST", "it cannot be taken", Stage.RECEIVING, help="send it otherwise")


def answer(version: str, outcome: Outcome) -> str:
    message = parse(rf"MSH|^~\&|HIS|H|BUS|B|20260301083015||ADT^A01|77|P|{version}".encode())
    error = ERROR if outcome in (Outcome.REJECTED, Outcome.UNAVAILABLE) else None
    receipt = Receipt(outcome, MessageId("m"), error)
    made = acknowledge(message, receipt, now=datetime.now(UTC), control_id="A1")
    assert made is not None
    return made.decode()


@pytest.mark.parametrize("version", ["2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_is_valid_in_its_version(version: str, outcome: Outcome) -> None:
    read = parse_message(answer(version, outcome), validation_level=VALIDATION_LEVEL.STRICT)
    assert read.validate()


def test_the_judge_is_strict() -> None:
    without_its_code = answer("2.5.1", Outcome.ACCEPTED).replace("MSA|AA|", "MSA||")
    with pytest.raises(HL7apyException):
        parse_message(without_its_code, validation_level=VALIDATION_LEVEL.STRICT).validate()
