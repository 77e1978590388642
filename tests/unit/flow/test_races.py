"""What happens at the same moment: a person, a reload, a stop or a failing store between two steps
of a delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.config.model import Ordering
from engine.contract import ErrorInfo, RejectedError, Stage, State
from tests.unit.flow.hospital import Push, Scripted, hospital, plain

INFO = ErrorInfo("T-1", "test", Stage.SENDING)


async def test_a_replay_finds_its_lane_after_their_number_changed(tmp_path: Path) -> None:
    def lanes(number: int) -> Any:
        keyed = Ordering("keyed", key="patient", lanes=number)
        return lambda s, p: plain(s, p, ordering=keyed)

    peer = Scripted()
    peer.script = lambda _: RejectedError(INFO)
    async with hospital(tmp_path, lanes(8), peer=peer) as h:
        receipts = [await h.push(f"k{n} x") for n in range(8)]
        dead = [await h.until_state(each.message_id, State.DEAD) for each in receipts]
    async with hospital(tmp_path, lanes(3)) as h:
        for each in dead:
            await h.engine.replay(each.deliveries[0].delivery, actor="anna")
        for receipt in receipts:
            await h.until_state(receipt.message_id, State.SENT)
        assert sorted(h.peer.texts) == [f"K{n} X" for n in range(8)]


async def test_an_unknown_outcome_without_order_goes_again_after_a_restart(tmp_path: Path) -> None:
    def free(source: Push, peer: Scripted) -> Any:
        return plain(source, peer, ordering=Ordering("none"), on_uncertain="retry")

    cut = Scripted()
    async with hospital(tmp_path, free, peer=cut) as h:
        cut.gate.clear()
        receipt = await h.push("k x")
        await h.until(lambda: cut.sending == 1)
        h.engine.request_stop(fast=True)
        await h.until(lambda: cut.sending == 0)
    async with hospital(tmp_path, free) as h:
        await h.until_state(receipt.message_id, State.SENT)
        assert [sent.possible_duplicate for sent in h.peer.delivered] == [True]
