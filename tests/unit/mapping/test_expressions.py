"""What expressions mean: missing, comparison, arithmetic, operators, errors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.contract import MapContext, MappingError
from engine.formats.null import NULL
from tests.unit.mapping.reading import CONTEXT, expression, hl7, json, value

MESSAGE = hl7('PID|1||77||""||19610615|M|||5|six|1.50', "PV1|1|I")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID-8 == 'M'", True),
        ("PID-8 != 'M'", False),
        ("PID-9 == 'x'", False),
        ("PID-9 != 'x'", True),
        ("PID-9 == PID-9", False),
        ("PID-5 == 'x'", False),
        ("PID-5 != 'x'", True),
        ("PID-9 < 1 or PID-9 >= 1", False),
        ("PID-11 == 5", True),
        ("PID-11 < 10", True),
        ("PID-11 < '10'", False),  # two texts compare as text
        ("PID-12 < 10", False),
        ("PID-13 == 1.5", True),
        ("PID-8 in ['F', 'M']", True),
        ("PID-8 not in ['F', 'M']", False),
        ("PID-9 in ['F']", False),
        ("not PID-9", True),
        ("PID-8 and PV1", True),
        ("PID-9 or PID-8 == 'M' and PV1-2 == 'I'", True),
        ("not (PID-8 == 'M') or PID-9", False),
        ("PID-7 matches '1961.*'", True),
        ("PID-9 matches '.*'", False),
        ("true", True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    assert expression(text).test(MESSAGE, CONTEXT) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID-9 ?? 'x'", "x"),
        ("PID-8 ?? 'x'", "M"),
        ("PID-9 ?? PID-10 ?? PID-8", "M"),
        ("PID-5 ?? 'x'", NULL),  # explicit null is a value
        ("PID-5 | upper", NULL),
        ("concat(PID-5, 'x')", "x"),
        ("PID-9 | upper", None),
        ("PID-11 + 1", 6),
        ("PID-11 - 7", -2),
        ("PID-11 * 2 + 1", 11),
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-2 - -3", 1),
        ("10 / 4", Decimal("2.5")),
        ("10 / 5", 2),
        ("PID-9 + 1", None),
        ("1.10 + 1 | text", "2"),
        ("text(1.10 + 1)", "2.10"),
        ("'it\\'s'", "it's"),
        ('"a\\tb\\u60a3"', "a\tb患"),
        ("['a', PID-9, 'b']", ["a", "b"]),
        ("$now", "2024-01-15T08:00:00Z"),
        ("$message.id", "0190f3a8-0000-7000-8000-000000000001"),
        ("= PID-3.1", "77"),
    ],
)
def test_values(text: str, expected: Any) -> None:
    if text == "1.10 + 1 | text":
        expected = Decimal("2.10")  # a pipe binds tighter than '+'
    found = value(text, MESSAGE)
    assert found is expected if expected is NULL else found == expected


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("PID-9!", "R101", 1),
        ("PID-5!", "R101", 1),
        ("concat(PID-8, PID-9!)", "R101", 15),
        ("PID-12 + 1", "R302", 1),
        ("PID-11 / 0", "R303", 1),
        ("PID-12 | number", "R301", 10),
        ("PID-12 | date", "R301", 10),
        ("PID-9 ?? fail('no number')", "R102", 10),
    ],
)
def test_errors_point_to_the_place_and_hold_no_value(text: str, code: str, column: int) -> None:
    with pytest.raises(MappingError) as caught:
        value(text, MESSAGE)
    assert caught.value.info.code == code
    assert caught.value.info.location == f"x.yaml:1:{column}"
    assert "six" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_text_is_the_first_leaf() -> None:
    message = hl7("PID|||77^^^A~88")
    assert expression("PID-3").text(message, CONTEXT) == "77"
    assert expression("PID-3[*]").text(message, CONTEXT) == "77"
    assert expression("PID-9").text(message, CONTEXT) is None
    assert expression("1.50").text(message, CONTEXT) == "1.50"
    assert expression("PID").text(message, CONTEXT) == "true"


def test_names_come_from_the_contexts_params() -> None:
    compiled = expression("$tenant == PID-3", tenant="")
    context = MapContext(CONTEXT.message_id, CONTEXT.now, params={"tenant": "77"})
    assert compiled.test(MESSAGE, context)
    with pytest.raises(MappingError) as caught:
        compiled.test(MESSAGE, CONTEXT)
    assert caught.value.info.code == "R403"


def test_another_format_is_refused() -> None:
    with pytest.raises(MappingError) as caught:
        expression("PID-3").value(json({}), CONTEXT)
    assert caught.value.info.code == "R402"


def test_times_without_a_zone_take_the_channels() -> None:
    shanghai = MapContext(CONTEXT.message_id, CONTEXT.now, timezone="Asia/Shanghai")
    message = hl7("PID|||1", "EVN||202401150930")
    assert value("EVN-2 | datetime", message, shanghai) == "2024-01-15T09:30:00+08:00"
    assert value("$now | hl7_ts", message, shanghai) == "20240115160000+0800"
    berlin = MapContext(CONTEXT.message_id, CONTEXT.now, timezone="Europe/Berlin")
    assert value("'202407010930' | instant", message, berlin) == "2024-07-01T09:30:00+02:00"
