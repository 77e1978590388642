"""The checker of the crash runs finds what it is there to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.faults.audit import Copy, Evidence, Verdict, audit

SENT_ONCE = Copy(sent=True, possible_duplicate=False)
SENT_AGAIN = Copy(sent=True, possible_duplicate=True)
WAITING = Copy(sent=False, possible_duplicate=False)


def judge(
    delivered: Sequence[int],
    *,
    acknowledged: Sequence[int] = (1, 2, 3, 4),
    sends: Mapping[int, int] | None = None,
    copies: Mapping[int, Sequence[Copy]] | None = None,
) -> Verdict:
    """Odd numbers are one key's, even numbers another's."""
    stored = copies or {}
    return audit(
        Evidence(
            sends=sends or {1: 1, 2: 1, 3: 1, 4: 1},
            acknowledged=acknowledged,
            delivered=delivered,
            key=lambda number: number % 2,
            copies=lambda number: stored.get(number, (SENT_ONCE,)),
        )
    )


def test_all_delivered_once_is_kept() -> None:
    verdict = judge([1, 2, 3, 4])
    assert verdict.kept
    assert str(verdict) == (
        "sent 4, acked 4, delivered 4, duplicates 0 (unexplained 0), lost 0, disordered 0, "
        "strangers 0"
    )


def test_a_planted_loss_is_found() -> None:
    verdict = judge([1, 2, 4])
    assert verdict.lost == (3,)
    assert not verdict.kept


def test_what_was_not_acknowledged_may_be_missing_or_delivered() -> None:
    assert judge([1, 2], acknowledged=[1, 2]).kept
    assert judge([1, 2, 3], acknowledged=[1, 2]).kept


def test_a_planted_unexplained_duplicate_is_found() -> None:
    verdict = judge([1, 2, 2, 3, 4])
    assert verdict.unexplained == (2,)
    assert verdict.duplicates == 1
    assert not verdict.kept


def test_a_duplicate_that_the_record_flags_is_explained() -> None:
    assert judge([1, 2, 2, 3, 4], copies={2: [SENT_AGAIN]}).kept


def test_a_flag_without_a_sent_event_explains_nothing() -> None:
    unsent = Copy(sent=False, possible_duplicate=True)
    assert judge([1, 2, 2, 3, 4], copies={2: [unsent]}).unexplained == (2,)


def test_a_duplicate_that_the_sender_made_is_explained() -> None:
    twice = {1: 1, 2: 2, 3: 1, 4: 1}
    assert judge([1, 2, 2, 3, 4], sends=twice, copies={2: [SENT_ONCE, SENT_ONCE]}).kept


def test_a_repetition_by_the_sender_does_not_excuse_a_single_stored_copy() -> None:
    twice = {1: 1, 2: 2, 3: 1, 4: 1}
    verdict = judge([1, 2, 2, 3, 4], sends=twice, copies={2: [SENT_ONCE]})
    assert verdict.unexplained == (2,)
    verdict = judge([1, 2, 2, 3, 4], sends=twice, copies={2: [SENT_ONCE, WAITING]})
    assert verdict.unexplained == (2,)


def test_more_stored_copies_than_were_sent_are_found() -> None:
    verdict = judge([1, 2, 2, 3, 4], copies={2: [SENT_ONCE, SENT_ONCE]})
    assert verdict.unexplained == (2,)


def test_a_planted_order_break_is_found() -> None:
    verdict = judge([3, 1, 2, 4])
    assert verdict.disordered == (3,)
    assert not verdict.kept


def test_the_order_between_keys_is_free() -> None:
    assert judge([2, 4, 1, 3]).kept


def test_a_late_repetition_does_not_break_the_order() -> None:
    assert judge([1, 2, 3, 4, 1], copies={1: [SENT_AGAIN]}).kept


def test_a_message_nobody_sent_is_found() -> None:
    verdict = judge([1, 2, 3, 4, 9])
    assert verdict.strangers == (9,)
    assert not verdict.kept
