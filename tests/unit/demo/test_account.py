"""The demo's account: what counts as missing, and that it stays small."""

from __future__ import annotations

from engine.demo.account import Account


def test_acknowledged_and_not_arrived_is_missing() -> None:
    account = Account()
    account.acknowledge("A")
    account.acknowledge("B")
    account.arrive("A")
    assert account.missing == 1
    assert account.missing_ids() == ["B"]


def test_an_arrival_before_its_acknowledgement_is_not_missing() -> None:
    account = Account()
    account.arrive("A")
    account.acknowledge("A")
    assert account.missing == 0
    assert (account.acknowledged, account.delivered) == (1, 1)


def test_a_second_arrival_is_a_duplicate_and_no_second_delivery() -> None:
    account = Account()
    account.acknowledge("A")
    account.arrive("A")
    account.arrive("A")
    assert (account.delivered, account.duplicates, account.missing) == (1, 1, 0)


def test_what_it_remembers_is_bounded() -> None:
    account = Account(remembered=10)
    for number in range(1000):
        account.acknowledge(str(number))
        account.arrive(str(number))
    assert account.delivered == 1000
    assert account.missing == 0
    assert len(account._arrived) == 10
