"""Channels that a person stopped: a row for each, until somebody starts it again.

Functions of the writer's transaction, and a reading.
"""

from __future__ import annotations

from engine.contract import ChannelName, Halt
from engine.store.database import Connection
from engine.store.ledger import Ledger
from engine.store.rows import micros, moment, storable


def halt(ledger: Ledger, channel: ChannelName, actor: str, reason: str) -> None:
    """Who stopped it first, and why, stays."""
    ledger.connection.execute(
        "INSERT INTO halt (channel, at, actor, reason) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (channel) DO NOTHING",
        (channel, micros(ledger.now()), storable(actor), storable(reason)),
    )
    ledger.tell(channel)


def resume(ledger: Ledger, channel: ChannelName) -> None:
    ledger.connection.execute("DELETE FROM halt WHERE channel = ?", (channel,))
    ledger.tell(channel)


def halted(connection: Connection) -> list[Halt]:
    rows = connection.execute("SELECT channel, at, actor, reason FROM halt ORDER BY channel")
    return [
        Halt(ChannelName(channel), moment(at), actor, reason) for channel, at, actor, reason in rows
    ]
