"""``validate:`` of channels: what is refused, what goes on with a note, on the way in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from engine.config.model import Configuration, Ordering, Target, Validation
from engine.contract import Outcome, Stage, State
from engine.flow.validating import invalid
from engine.formats.findings import Finding
from tests.unit.flow.hospital import (
    FAST,
    Push,
    Scripted,
    Shouting,
    channel,
    configuration,
    hospital,
    route,
)


def no_wrong(document: Any) -> tuple[Finding, ...]:
    return (Finding("word[1]", "it is wrong"),) if "wrong" in document.text.lower() else ()


def validating(level: Literal["warn", "reject"], side: str) -> Any:
    rule = Validation(level, no_wrong)

    def make(source: Push, peer: Scripted) -> Configuration:
        return configuration(
            [
                channel("in", "inbound", source, validation=rule if side == "in" else None),
                channel(
                    "out",
                    "outbound",
                    peer,
                    ordering=Ordering(),
                    retry=FAST,
                    validation=rule if side == "out" else None,
                ),
            ],
            [route("all", Target("out", "out", Shouting()))],  # type: ignore[arg-type]
        )

    return make


async def test_an_invalid_message_is_refused(tmp_path: Path) -> None:
    async with hospital(tmp_path, validating("reject", "in")) as house:
        refused = await house.push("k wrong")
        assert (refused.outcome, refused.error and refused.error.code) == (
            Outcome.REJECTED,
            "FLOW-INVALID",
        )
        assert (await house.summary(refused.message_id)).state is State.REJECTED
        taken = await house.push("k right")
        await house.until_state(taken.message_id, State.SENT)
        assert house.peer.texts == ["K RIGHT"]


async def test_an_invalid_message_goes_on_with_a_note(tmp_path: Path) -> None:
    async with hospital(tmp_path, validating("warn", "in")) as house:
        taken = await house.push("k wrong")
        assert taken.outcome is Outcome.ACCEPTED
        await house.until_state(taken.message_id, State.SENT)
        assert taken.message_id is not None
        first = (await house.engine.store.history(taken.message_id))[0]
        assert first.error is not None
        assert (first.error.code, first.error.summary) == ("FLOW-INVALID", "word[1]: it is wrong")


async def test_invalid_output_is_a_dead_letter(tmp_path: Path) -> None:
    async with hospital(tmp_path, validating("reject", "out")) as house:
        taken = await house.push("k wrong")
        summary = await house.until_state(taken.message_id, State.DEAD)
        error = summary.deliveries[0].error
        assert error is not None
        assert (error.code, error.stage) == ("FLOW-INVALID-OUTPUT", Stage.MAPPING)
        assert house.peer.texts == []


async def test_invalid_output_is_sent_with_a_note(tmp_path: Path) -> None:
    async with hospital(tmp_path, validating("warn", "out")) as house:
        taken = await house.push("k wrong")
        summary = await house.until_state(taken.message_id, State.SENT)
        error = summary.deliveries[0].error
        assert error is not None
        assert error.code == "FLOW-INVALID-OUTPUT"
        assert house.peer.texts == ["K WRONG"]


@pytest.mark.parametrize(("count", "more"), [(8, ""), (20, "; and 12 more")])
def test_only_the_first_findings_are_told(count: int, more: str) -> None:
    findings = [Finding(f"p{number}", "x") for number in range(count)]
    info = invalid(findings, Stage.RECEIVING)
    assert info.summary.endswith(f"p7: x{more}")
    assert info.location == "p0"
