"""Reading 15 fields of a 1 KB ADT: our lazy view against the `hl7` package, in one run.

    python bench/hl7_view.py

Prints microseconds a message (best of several rounds) and the ratio; the goal is 30.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import UTC, datetime

import hl7

from engine.contract import MessageId, Outcome, Receipt
from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.acknowledgement import acknowledge
from engine.formats.hl7v2.element import component, repetition

ADT = "\r".join(
    (
        r"MSH|^~\&|HIS|GENERAL|CAREBUS|HUB|20260301101530+0100||ADT^A01^ADT_A01|MSG00001|P|2.5.1"
        "|||AL|NE|CHE|UNICODE UTF-8",
        "EVN|A01|20260301101530+0100|||SMITHJ^Smith^Jane",
        "PID|1||100234^^^GENERAL^MR~7560000000011^^^AHV^SS||Doe&van^Johanna^Maria^^Dr^^L~Roe^Jo^^^^^N"
        "||19610615|F|||Long Street 12^Apt 3^Springfield^IL^62701^USA^H||+1 555 0100^PRN^PH"
        "~johanna@example.org^NET^Internet|+1 555 0199^WPN^PH|EN|M|CHR|V7711^^^GENERAL^VN|||||||0",
        "PD1|||GENERAL PRACTICE^^10^^^GENERAL|4711^Family^Frank^^^Dr",
        "NK1|1|Doe^John^^^Mr|SPO|Long Street 12^^Springfield^IL^62701^USA|+1 555 0101",
        "PV1|1|I|W3^301^2^GENERAL^^B^W^3|E|||4777^Attend^Aaron^^^Dr|4778^Refer^Rita^^^Dr||MED"
        "||||7|A0||4777^Attend^Aaron^^^Dr|IP|V7711^^^GENERAL^VN|||||||||||||||||||||||||"
        "20260301100000+0100",
        "AL1|1|DA|PEN^Penicillin^L|SV|Rash~Swelling",
        "DG1|1||I10^Essential (primary) hypertension^I10|||A",
        "IN1|1|BASIC^Basic cover^L|CO12|Care Insurance|Insurance Lane 1^^Springfield^IL^62702",
        "",
    )
).encode()


def with_view() -> tuple[str, ...]:
    message = parse(ADT)
    header = message.header
    pid = message.segment("PID")
    visit = message.segment("PV1")
    assert pid is not None
    assert visit is not None
    number = repetition(pid.field(3), 1, "~")
    name = repetition(pid.field(5), 1, "~")
    address = pid.field(11)
    place = visit.field(3)
    return (
        component(header.field(9), 1, "^"),
        component(header.field(9), 2, "^"),
        header.field(10),
        header.field(7),
        component(number, 1, "^"),
        component(number, 4, "^"),
        component(name, 2, "^"),
        pid.field(7),
        pid.field(8),
        component(address, 3, "^"),
        component(address, 5, "^"),
        visit.field(2),
        component(place, 1, "^"),
        component(place, 2, "^"),
        component(visit.field(19), 1, "^"),
    )


def with_package() -> tuple[str, ...]:
    message = hl7.parse(ADT.decode())
    header = message.segment("MSH")
    pid = message.segment("PID")
    visit = message.segment("PV1")
    return tuple(
        str(value)
        for value in (
            header[9][0][0],
            header[9][0][1],
            header[10],
            header[7],
            pid[3][0][0],
            pid[3][0][3],
            pid[5][0][1],
            pid[7],
            pid[8],
            pid[11][0][2],
            pid[11][0][4],
            visit[2],
            visit[3][0][0],
            visit[3][0][1],
            visit[19][0][0],
        )
    )


def microseconds(work: Callable[[], object], number: int) -> float:
    return min(timeit.repeat(work, number=number, repeat=7)) / number * 1e6


def main() -> None:
    assert with_view() == with_package()
    view = microseconds(with_view, 2000)
    package = microseconds(with_package, 40)
    receipt = Receipt(Outcome.ACCEPTED, MessageId("018f0000-0000-7000-8000-000000000000"))
    now = datetime(2026, 3, 1, 9, 15, 30, tzinfo=UTC)
    message = parse(ADT)
    answer = microseconds(
        lambda: acknowledge(message, receipt, now=now, control_id="ACK00001"), 2000
    )
    print(f"HL7 view, {len(ADT)} bytes of ADT, parse and read 15 fields")
    print(f"  our view      {view:8.1f} µs a message")
    print(f"  hl7 package   {package:8.1f} µs a message")
    print(f"  ratio         {package / view:8.0f} × (goal: 30)")
    print(f"  only parse    {microseconds(lambda: parse(ADT), 5000):8.1f} µs")
    print(f"  acknowledge   {answer:8.1f} µs")


if __name__ == "__main__":
    main()
