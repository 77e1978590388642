"""The demo's account: what counts as missing, and that it stays small."""

from __future__ import annotations

from engine.demo.account import Account, SenderAccount
from engine.demo.sender import Outgoing


def test_acknowledged_and_not_arrived_is_missing() -> None:
    account = Account("EMR", "R")
    account.acknowledge("RA")
    account.acknowledge("RB")
    account.arrive("RA")
    assert account.missing == 1
    assert account.missing_ids() == ["RB"]


def test_an_arrival_before_its_acknowledgement_is_not_missing() -> None:
    account = Account("EMR", "R")
    account.arrive("RA")
    account.acknowledge("RA")
    assert account.missing == 0
    assert (account.acknowledged, account.delivered) == (1, 1)


def test_a_second_arrival_is_a_duplicate_and_no_second_delivery() -> None:
    account = Account("EMR", "R")
    account.acknowledge("RA")
    account.arrive("RA")
    account.arrive("RA")
    assert (account.delivered, account.duplicates, account.missing) == (1, 1, 0)


def test_what_it_remembers_is_bounded() -> None:
    account = Account("EMR", "R", remembered=10)
    for number in range(1000):
        account.acknowledge(f"R{number}")
        account.arrive(f"R{number}")
    assert account.delivered == 1000
    assert account.missing == 0
    assert account.remembered == 10


def test_what_waited_from_an_earlier_run_is_no_delivery_of_this_one() -> None:
    account = Account("EMR", "R")
    account.arrive("Q1")
    account.arrive(None)
    assert (account.delivered, account.duplicates, account.strangers) == (0, 0, 2)


def test_a_sender_tells_every_receiver_and_counts_its_repetitions() -> None:
    emr, ward = Account("EMR", "R"), Account("ward", "R")
    lis = SenderAccount("LIS", [emr, ward])
    first, second = Outgoing("R1", "p", b""), Outgoing("R2", "p", b"")
    lis.sending(first)
    lis.sending(first)
    lis.acknowledged(first)
    lis.sending(second)
    lis.refused(second, "AE")
    assert (lis.sent, lis.repeated, lis.answered, lis.refusals) == (2, 1, 1, 1)
    assert emr.missing_ids() == ward.missing_ids() == ["R1"]
