"""When messages are refused, and what the sender and the log are told."""

from engine.flow.pressure import PressureLimits, refusal

LIMITS = PressureLimits(waiting=10, free=1000)


def test_takes_messages_below_both_limits() -> None:
    assert refusal(LIMITS, waiting=9, free=1000) is None


def test_refuses_at_a_full_disk_or_outbox() -> None:
    disk = refusal(LIMITS, waiting=0, free=999)
    assert disk is not None
    assert disk.code == "FLOW-DISK"
    backlog = refusal(LIMITS, waiting=10, free=5000)
    assert backlog is not None
    assert backlog.code == "FLOW-BACKLOG"
