"""Every public FHIR resource is read and written without losing a digit."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from engine.contract import Payload
from engine.formats import FORMATS


def test_resources_come_out_as_they_went_in(fhir_files: list[Path]) -> None:
    fhir = FORMATS["fhir"]
    for path in fhir_files:
        body = path.read_bytes()
        document = fhir.parse(Payload(body))
        assert fhir.key(document), path
        expected = json.loads(body.decode("utf-8-sig"), parse_float=Decimal)
        again = json.loads(fhir.write(document).body, parse_float=Decimal)
        assert again == expected, path
        assert str(again) == str(expected), path  # 1.0 and 1.00 are equal, but not the same
