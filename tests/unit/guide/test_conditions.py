"""The guide's conditions, with the turns of phrase that its tables have."""

from __future__ import annotations

import pytest

from engine.guide.conditions import (
    Among,
    Both,
    Condition,
    ConditionError,
    Counted,
    Not,
    Valued,
    parse_condition,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IF MSH-24 NOT VALUED", Not(Valued("MSH-24"))),
        ("IF AIG-8 IS VALUED", Valued("AIG-8")),
        ("IF NOT VALUED", Not(Valued("PID-3"))),
        ("IF XCN.19 DOES NOT EXIST", Not(Valued("XCN.19"))),
        ("IF TQ1-3.9 IS EMPTY", Not(Valued("TQ1-3.9"))),
        ('IF HD.3 IN ("ISO", "UUID")', Among("HD.3", ("ISO", "UUID"))),
        ('IF PV1-2.1 NOT EQUALS "P"', Not(Among("PV1-2.1", ("P",)))),
        ('IF HD-3 = "ISO"', Among("HD-3", ("ISO",))),
        ("IF OBX-33 COUNT>1", Counted("OBX-33", "count", ">", 1)),
        ("IF PID-7 LENGTH GREATER THAN 8", Counted("PID-7", "length", ">", 8)),
        (
            "IF TQ1-7 AND TQ1-8 NOT VALUED",
            Both((Not(Valued("TQ1-7")), Not(Valued("TQ1-8"))), "and"),
        ),
        (
            'IF IAM-15 VALUED AND NOT "SEL"',
            Both((Valued("IAM-15"), Not(Among("IAM-15", ("SEL",)))), "and"),
        ),
        (
            "IF PID-11.9 IS VALUED NOT EQUAL PID-12",
            Both((Valued("PID-11.9"), Not(Among("PID-11.9", (), "PID-12"))), "and"),
        ),
        (
            "IF RXO-2 IS VALUED AND (IF RXO-4.1 IS VALUED OR RXO-4.3 IS VALUED)",
            Both(
                (Valued("RXO-2"), Both((Valued("RXO-4.1"), Valued("RXO-4.3")), "or")),
                "and",
            ),
        ),
    ],
)
def test_conditions(text: str, expected: Condition) -> None:
    assert parse_condition(text, "PID-3") == expected


@pytest.mark.parametrize(
    "text", ["IF", "IF PID-3 IN (", "IF PID-3 SEEMS RIGHT", "IF (PID-3 VALUED"]
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ConditionError):
        parse_condition(text, "PID-3")
