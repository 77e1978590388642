"""One ADT^A01 to a FHIR Bundle: by the YAML mapping, and by the same mapping written by hand.

    .venv/bin/python -m bench.mapping

Both give the same Bundle (asserted), both read the same lazy view of the message, and both decode
escapes and know explicit null.  Prints microseconds a message, with and without reading the
message, and the ratio; the target is at most 1.5.
"""

from __future__ import annotations

import gc
import sys
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.contract import MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.formats.hl7v2 import Hl7Message, parse
from engine.mapping import CompiledMapping, compile_mapping
from engine.mapping.functions.identifiers import urn_uuid
from engine.syntax import Diagnostics, read_yaml

MESSAGE = "\r".join(
    [
        r"MSH|^~\&|ADT1|GOOD HEALTH HOSPITAL|GHH LAB|GHH|198808181126+0100||ADT^A01^ADT_A01|"
        r"MSG00001|P|2.5.1",
        "EVN||200708181123",
        "PID|1||PATID1234^5^M11^ADT1^MR^GOOD HEALTH HOSPITAL~123456789^^^USSSA^SS||"
        "JONES^WILLIAM^A^III^DR^^L~JONES^BILL^^^^^N||19610615|M||2106-3|"
        "677 DELAWARE AVENUE^^EVERETT^MA^02149|GL|(216)123-4567^PRN^PH|(216)777-1234^WPN^PH||M||"
        "VN12^^^ADT1^VN||||||||||||N",
        "NK1|1|JONES^BARBARA^K|SPO^Spouse^HL70063||||NK^NEXT OF KIN",
        "PV1|1|I|2000^2012^01||||004777^LEBAUER^SIDNEY^J.|||SUR||||7|A0||||V77^^^ADT1"
        + "|" * 25
        + "20070818112300",
        "AL1|1|DA|1605^PENICILLIN^L|SV|PRODUCES HIVES~RASH",
        "AL1|2|DA|1558^CAT DANDER^L|MO|SNEEZING",
        "DG1|001|I9|1550^MAL NEO LIVER, PRIMARY^I9|MAL NEO LIVER, PRIMARY|19880501103005|F",
        "DG1|002|I9|571.2^ALCOHOL CIRRHOSIS^I9||19880501103005|F",
        "",
    ]
).encode()
CONTEXT = MapContext(MessageId("bench"), datetime(2024, 1, 15, 8, tzinfo=UTC))

SEX = {"F": "female", "M": "male", "O": "other", "U": "unknown"}
NAME_USE = {"L": "official", "M": "maiden", "N": "nickname"}
TELECOM = {"PH": "phone", "CP": "phone", "FX": "fax", "Internet": "email"}
SYSTEM = {"ADT1": "urn:oid:1.2.3.4", "USSSA": "http://hl7.org/fhir/sid/us-ssn"}
MARITAL = {"M": "M", "S": "S", "D": "D", "W": "W"}
CLASS = {"I": "IMP", "O": "AMB", "E": "EMER", "P": "PRENC"}
CRITICALITY = {"SV": "high", "MO": "low", "MI": "low"}


def by_hand(message: Hl7Message) -> dict[str, Any]:
    """What a careful programmer writes: one pass, no framework."""
    separators = message.separators
    component, repetition = separators.component, separators.repetition
    sub, escape, unescape = (
        separators.subcomponent,
        separators.escape_character,
        separators.unescape,
    )

    def clean(text: str) -> str | None:
        if not text or text.isspace() or text == '""':
            return None
        if sub in text:
            text = text.partition(sub)[0]
        return unescape(text) if escape in text else text

    def field(fields: list[str], number: int) -> str:
        return fields[number] if number < len(fields) else ""

    def first(fields: list[str], number: int) -> list[str]:
        return field(fields, number).partition(repetition)[0].split(component)

    def each(fields: list[str], number: int) -> list[list[str]]:
        text = field(fields, number)
        return [part.split(component) for part in text.split(repetition) if part] if text else []

    def at(parts: list[str], number: int) -> str | None:
        return clean(parts[number - 1]) if number <= len(parts) else None

    def put(target: dict[str, Any], key: str, value: Any) -> None:
        if value:
            target[key] = value

    def some(*values: str | None) -> list[str]:
        return [value for value in values if value is not None]

    def instant(text: str | None) -> str | None:
        if text is None:
            return None
        if len(text) < 12:
            raise ValueError("an instant needs at least YYYYMMDDHHMM")
        clock, zone = text, "Z"
        for sign in "+-":
            if sign in text:
                clock, _, offset = text.partition(sign)
                zone = f"{sign}{offset[:2]}:{offset[2:]}"
        datetime(int(clock[:4]), int(clock[4:6]), int(clock[6:8]), int(clock[8:10]))
        second = clock[12:] or "00"
        return f"{clock[:4]}-{clock[4:6]}-{clock[6:8]}T{clock[8:10]}:{clock[10:12]}:{second}{zone}"

    def date(text: str | None) -> str | None:
        if text is None:
            return None
        if len(text) >= 8:
            datetime(int(text[:4]), int(text[4:6]), int(text[6:8]))
            return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
        return text[:4] if len(text) < 6 else f"{text[:4]}-{text[4:6]}"

    def telecoms(parts: list[list[str]], use: str) -> list[dict[str, Any]]:
        found = []
        for xtn in parts:
            contact: dict[str, Any] = {"system": TELECOM.get(at(xtn, 3) or "") or "phone"}
            put(contact, "value", at(xtn, 1) or at(xtn, 12))
            contact["use"] = use
            found.append(contact)
        return found

    msh = message.header.fields
    pid_segment = message.segment("PID")
    pid = [] if pid_segment is None else pid_segment.fields
    pv1_segment = message.segment("PV1")
    pv1 = [] if pv1_segment is None else pv1_segment.fields

    pid3 = first(pid, 3)
    patient_id, authority = at(pid3, 1), at(pid3, 4)
    if patient_id is None:
        raise ValueError("PID-3.1 is required")
    pv1_19 = first(pv1, 19)
    visit = at(pv1_19, 1)
    patient_url = urn_uuid.call("Patient", authority, patient_id)
    encounter_url = urn_uuid.call("Encounter", at(pv1_19, 4), visit)

    identifiers = []
    for cx in each(pid, 3):
        identifier: dict[str, Any] = {}
        put(identifier, "value", at(cx, 1))
        put(identifier, "system", SYSTEM.get(at(cx, 4) or ""))
        coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203"}
        put(coding, "code", at(cx, 5))
        identifier["type"] = {"coding": [coding]}
        identifiers.append(identifier)
    names = []
    for xpn in each(pid, 5):
        name: dict[str, Any] = {}
        put(name, "use", NAME_USE.get(at(xpn, 7) or ""))
        put(name, "family", at(xpn, 1))
        put(name, "given", some(at(xpn, 2), at(xpn, 3)))
        put(name, "prefix", some(at(xpn, 5)))
        put(name, "suffix", some(at(xpn, 4), at(xpn, 6)))
        if name:
            names.append(name)
    addresses = []
    for xad in each(pid, 11):
        address: dict[str, Any] = {}
        put(address, "line", some(at(xad, 1), at(xad, 2)))
        put(address, "city", at(xad, 3))
        put(address, "state", at(xad, 4))
        put(address, "postalCode", at(xad, 5))
        put(address, "country", at(xad, 6))
        if address:
            addresses.append(address)

    patient: dict[str, Any] = {"resourceType": "Patient"}
    put(patient, "identifier", identifiers)
    put(patient, "name", names)
    sex = at(first(pid, 8), 1)
    if sex is not None:
        patient["gender"] = SEX.get(sex, "unknown")
    put(patient, "birthDate", date(at(first(pid, 7), 1)))
    put(patient, "address", addresses)
    put(patient, "telecom", telecoms(each(pid, 13), "home") + telecoms(each(pid, 14), "work"))
    died = at(first(pid, 30), 1)
    if died is not None:
        patient["deceasedBoolean"] = {"Y": True, "N": False}[died]
    marital = at(first(pid, 16), 1)
    if marital is not None:
        patient["maritalStatus"] = {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
                    "code": MARITAL.get(marital, "UNK"),
                }
            ]
        }
    system = SYSTEM.get(authority or "") or ""
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": patient_url,
            "request": {
                "method": "PUT",
                "url": f"Patient?identifier={system}|{patient_id}",
            },
            "resource": patient,
        }
    ]
    if pv1:
        encounter: dict[str, Any] = {"resourceType": "Encounter", "status": "in-progress"}
        klass = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode"}
        code = at(first(pv1, 2), 1)
        if code is not None:
            klass["code"] = CLASS[code]
        encounter["class"] = klass
        if visit is not None:
            encounter["identifier"] = [{"value": visit}]
        encounter["subject"] = {"reference": patient_url}
        start = instant(at(first(pv1, 44), 1))
        if start is not None:
            encounter["period"] = {"start": start}
        place = first(pv1, 3)
        if place != [""]:
            words = f"{at(place, 1) or ''} {at(place, 2) or '-'} {at(place, 3) or '-'}"
            encounter["location"] = [{"location": {"display": words}}]
        entry: dict[str, Any] = {}
        put(entry, "fullUrl", encounter_url)
        entry["request"] = {"method": "PUT", "url": f"Encounter?identifier={visit or ''}"}
        entry["resource"] = encounter
        entries.append(entry)
    for segment in message.segments("AL1"):
        al1 = segment.fields
        allergen = first(al1, 3)
        code = at(allergen, 1)
        key = f"{patient_id}-{code or ''}"
        allergy: dict[str, Any] = {
            "resourceType": "AllergyIntolerance",
            "identifier": [{"system": "urn:hie:al1", "value": key}],
            "patient": {"reference": patient_url},
        }
        text = at(allergen, 2) or code
        if text is not None:
            allergy["code"] = {"text": text}
        put(allergy, "criticality", CRITICALITY.get(at(first(al1, 4), 1) or ""))
        reaction = at(first(al1, 5), 1)
        if reaction is not None:
            allergy["reaction"] = [{"manifestation": [{"text": reaction}]}]
        entries.append(
            {
                "fullUrl": urn_uuid.call("AllergyIntolerance", authority, patient_id, code),
                "request": {
                    "method": "PUT",
                    "url": f"AllergyIntolerance?identifier=urn:hie:al1|{key}",
                },
                "resource": allergy,
            }
        )
    for segment in message.segments("DG1"):
        dg1 = segment.fields
        diagnosis = first(dg1, 3)
        code = at(diagnosis, 1)
        key = f"{patient_id}-{code or ''}"
        icd = {"system": "http://hl7.org/fhir/sid/icd-10"}
        put(icd, "code", code)
        put(icd, "display", at(diagnosis, 2))
        condition: dict[str, Any] = {
            "resourceType": "Condition",
            "identifier": [{"system": "urn:hie:dg1", "value": key}],
            "subject": {"reference": patient_url},
        }
        if encounter_url is not None:
            condition["encounter"] = {"reference": encounter_url}
        condition["code"] = {"coding": [icd]}
        entries.append(
            {
                "fullUrl": urn_uuid.call("Condition", authority, patient_id, code),
                "request": {"method": "PUT", "url": f"Condition?identifier=urn:hie:dg1|{key}"},
                "resource": condition,
            }
        )
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "transaction"}
    put(bundle, "timestamp", instant(at(first(msh, 7), 1)))
    bundle["entry"] = entries
    return bundle


def compiled() -> CompiledMapping:
    """The mapping of ``bench/mapping-adt.yaml``."""
    path = Path(__file__).with_name("mapping-adt.yaml")
    diagnostics = Diagnostics()
    root = read_yaml(path.read_text(encoding="utf-8"), f"bench/{path.name}", diagnostics)
    assert root is not None
    mapping = compile_mapping(root, diagnostics=diagnostics, name=path.stem)
    assert mapping is not None, diagnostics.items
    return mapping


def microseconds(
    calls: dict[str, Callable[[], Any]], *, rounds: int, number: int
) -> dict[str, float]:
    """The best of the rounds: what other work on the machine disturbed least.  Calls take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(timeit.timeit(call, number=number) / number * 1e6)
    return {name: min(found) for name, found in taken.items()}


def measure(rounds: int = 40, number: int = 100) -> dict[str, float]:
    """Microseconds a message, and the ratio of the two mappings."""
    mapping = compiled()
    message = parse(MESSAGE)
    assert mapping.apply(message, CONTEXT) == by_hand(message)
    taken = microseconds(
        {
            "read": lambda: parse(MESSAGE).segment("PID"),
            "yaml": lambda: mapping.apply(message, CONTEXT),
            "hand": lambda: by_hand(message),
            "yaml_and_read": lambda: mapping.apply(parse(MESSAGE), CONTEXT),
            "hand_and_read": lambda: by_hand(parse(MESSAGE)),
        },
        rounds=rounds,
        number=number,
    )
    taken["ratio"] = taken["yaml"] / taken["hand"]
    taken["ratio_with_read"] = taken["yaml_and_read"] / taken["hand_and_read"]
    return taken


def main() -> int:
    found = measure()
    size = len(FORMATS["fhir"].write(by_hand(parse(MESSAGE))).body)
    assert isinstance(Payload(MESSAGE).body, bytes)
    print(f"ADT^A01 of {len(MESSAGE)} bytes to a Bundle of {size} bytes, microseconds a message")
    print(f"  YAML mapping     {found['yaml']:7.1f}   with reading {found['yaml_and_read']:7.1f}")
    print(f"  Python by hand   {found['hand']:7.1f}   with reading {found['hand_and_read']:7.1f}")
    print(
        f"  ratio            {found['ratio']:7.2f}   with reading {found['ratio_with_read']:7.2f}"
    )
    return 0 if found["ratio"] <= 1.5 else 1


if __name__ == "__main__":
    sys.exit(main())
