"""The messages of the load: HL7 v2 of a realistic size, prebuilt, with only the numbers spliced in.

Every message has a number that is unique in its run.  It stands in MSH-10 and in the visit or
order number, as ``CBSEQ`` and ten digits, so that a sink finds it in whatever a mapping made of
the message.  All persons and values are made up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

MARK: Final = b"CBSEQ"
"""What stands before the ten digits of a message's number."""

_ADT = (
    "MSH|^~\\&|HIS|CENTRAL|CAREBUS|CENTRAL|20260301083015+0800||ADT^A01^ADT_A01|{mark}%010d|P|2.5.1"
    "|||AL|NE||UNICODE UTF-8",
    "EVN|A01|20260301083015+0800|||10021^MEYER^ANNA",
    "PID|1||P%07d^^^CENTRAL^MR~110101199003078515^^^NATIONAL^NI||ZHANG^WEI^M^^^^L||19900307|F|||"
    "88 RENMIN ROAD^BUILDING 3^SHANGHAI^SH^200001^CHN^H||+86-21-5550-0199^PRN^PH~"
    "+86-138-0013-8000^PRN^CP|+86-21-5550-0188^WPN^PH|CHI^Chinese^HL70296|M^Married^HL70002||"
    "ACC20260301^^^CENTRAL^AN|||||SHANGHAI||||CHN",
    "PD1||||10022^LI^JUN^^^DR",
    "NK1|1|ZHANG^MIN|SPO^Spouse^HL70063|88 RENMIN ROAD^BUILDING 3^SHANGHAI^SH^200001^CHN|"
    "+86-138-0013-8001",
    "PV1|1|I|CARD^301^2^CENTRAL^^^^3|E|||10022^LI^JUN^^^DR|10023^WANG^FANG^^^DR||CAR||||1|||"
    "10022^LI^JUN^^^DR|IP|{mark}%010d^^^CENTRAL^VN|SI|||||||||||||||||||CENTRAL|||||"
    "20260301083000+0800",
    "PV2||PR^Private room|I25.1^Atherosclerotic heart disease^I10",
    "AL1|1|DA|1191^Aspirin^RXNORM|SV|Urticaria",
    "DG1|1||I25.1^Atherosclerotic heart disease of native coronary artery^I10||20260301|A",
    "IN1|1|BASIC^Urban employee basic insurance|SH001|Shanghai Medical Insurance",
)

_ANALYTES = (
    ("6690-2", "Leukocytes", "7.42", "10*9/L", "3.5-9.5"),
    ("789-8", "Erythrocytes", "4.81", "10*12/L", "4.3-5.8"),
    ("718-7", "Hemoglobin", "142", "g/L", "130-175"),
    ("4544-3", "Hematocrit", "0.43", "L/L", "0.40-0.50"),
    ("777-3", "Platelets", "231", "10*9/L", "125-350"),
    ("2345-7", "Glucose", "5.31", "mmol/L", "3.9-6.1"),
    ("2160-0", "Creatinine", "71.5", "umol/L", "57-97"),
    ("3094-0", "Urea nitrogen", "4.62", "mmol/L", "3.1-8.0"),
    ("2823-3", "Potassium", "4.12", "mmol/L", "3.5-5.3"),
    ("2951-2", "Sodium", "140.3", "mmol/L", "137-147"),
)

_ORU_HEAD = (
    "MSH|^~\\&|LIS|CENTRAL|CAREBUS|CENTRAL|20260301101500+0800||ORU^R01^ORU_R01|{mark}%010d|P|2.5.1"
    "|||AL|NE||UNICODE UTF-8",
    "PID|1||P%07d^^^CENTRAL^MR||ZHANG^WEI^M^^^^L||19900307|F|||"
    "88 RENMIN ROAD^BUILDING 3^SHANGHAI^SH^200001^CHN^H||+86-21-5550-0199^PRN^PH",
    "PV1|1|I|CARD^301^2^CENTRAL|E|||10022^LI^JUN^^^DR|||CAR||||1|||10022^LI^JUN^^^DR|IP|"
    "V2026030100071^^^CENTRAL^VN",
    "ORC|RE|ORD2026030100417^HIS|{mark}%010d^LIS||CM||||20260301093000+0800|||10022^LI^JUN^^^DR",
    "OBR|1|ORD2026030100417^HIS|{mark}%010d^LIS|24323-8^Comprehensive metabolic panel^LN|||"
    "20260301094000+0800|||||||20260301095500+0800|BLD^Whole blood^HL70487|10022^LI^JUN^^^DR||||||"
    "20260301101500+0800||LAB|F",
)
_OBX = (
    "OBX|{index}|NM|{code}^{name}^LN^{code}^{name} automated^CENTRAL-LAB|1|"
    "{value}|{unit}^{unit}^UCUM|{range}|N|||F|||20260301094000+0800|LAB^Central laboratory|"
    "10031^CHEN^LEI^^^^^^TECH"
)


def _frame(segments: tuple[str, ...]) -> bytes:
    text = "\r".join(segments).replace("{mark}", MARK.decode())
    return b"\x0b" + text.encode() + b"\r\x1c\r"


_ADT_FRAME: Final = _frame(_ADT)
_ORU_FRAME: Final = _frame(
    (
        *_ORU_HEAD,
        *(
            _OBX.format(index=i + 1, code=code, name=name, value=value, unit=unit, range=normal)
            for i, (code, name, value, unit, normal) in enumerate(_ANALYTES * 2)
        ),
    )
)


def adt(number: int, patient: int) -> bytes:
    """One MLLP frame: an ADT^A01 of about 1 KB."""
    return _ADT_FRAME % (number, patient, number)


def oru20(number: int, patient: int) -> bytes:
    """One MLLP frame: an ORU^R01 of about 4 KB with 20 OBX."""
    return _ORU_FRAME % (number, patient, number, number)


KINDS: Final[Mapping[str, Callable[[int, int], bytes]]] = {"adt": adt, "oru20": oru20}


def number_in(body: bytes) -> int:
    """The number of the message that this body was made from, -1 when it names none."""
    at = body.find(MARK)
    return int(body[at + 5 : at + 15]) if at >= 0 else -1
