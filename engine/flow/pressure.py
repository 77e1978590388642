"""Back-pressure: when the engine says "not now" instead of promising what it may not keep.  Pure.

A sending system understands AE or HTTP 503 and sends again; it does not understand a lost message.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.contract import ErrorInfo, Stage


@dataclass(frozen=True, slots=True)
class PressureLimits:
    """``waiting``: unfinished deliveries over all channels; ``free``: bytes left on the disk."""

    waiting: int = 2_000_000
    free: int = 256 * 1024 * 1024


def refusal(limits: PressureLimits, *, waiting: int, free: int) -> ErrorInfo | None:
    """Why new messages are not taken now, or None when they are."""
    if free < limits.free:
        return ErrorInfo(
            "FLOW-DISK",
            "the disk of the message store is nearly full",
            Stage.STORING,
            help="free space on the data disk, or shorten keep: in the channels",
        )
    if waiting >= limits.waiting:
        return ErrorInfo(
            "FLOW-BACKLOG",
            f"{waiting} deliveries are waiting",
            Stage.STORING,
            help="see which destinations are down with carebus status",
        )
    return None
