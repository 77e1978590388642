"""What the engine says about itself at one moment.

Plain values: the flow fills them, and the control endpoint, the metrics and the live table only
read them.  No clinical value is in here, and nothing in here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from engine.contract import ErrorInfo, Halt
from engine.flow.alerts import Alert


class ChannelState(StrEnum):
    """Where a channel is in its life; a text everywhere a person or a metric sees it."""

    STARTING = "starting"  # opening, also again after its resource was lost
    RUNNING = "running"
    FAILED = "failed"  # not opened, or the last send reached nobody; tried again with back-off
    STANDBY = "standby"  # another process has it; this one takes over when that one is gone
    STOPPED = "stopped"  # by a person, or because the engine drains
    REMOVED = "removed"  # no longer configured, and deliveries wait for it

    @property
    def well(self) -> bool:
        """Nothing is to be done about it."""
        return self in (ChannelState.RUNNING, ChannelState.STANDBY)


Direction = Literal["inbound", "outbound"]


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One channel's state and its counts since the engine started.

    An inbound channel counts ``received`` = ``accepted`` + ``duplicates`` + ``rejected`` +
    ``unavailable``; ``unrouted`` and ``filtered`` are parts of ``accepted``.  An outbound channel
    counts ``sent`` and ``retried`` (attempts that will be made again); ``waiting`` (queued),
    ``retrying``, ``uncertain`` and ``dead`` are how many deliveries are in that state now.
    """

    name: str
    system: str
    direction: Direction
    connector: str
    state: ChannelState
    since: datetime  # aware, UTC: when it came into this state
    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    unavailable: int = 0
    unrouted: int = 0
    filtered: int = 0
    sent: int = 0
    retried: int = 0
    waiting: int = 0
    retrying: int = 0
    uncertain: int = 0
    dead: int = 0
    rate_in: float = 0.0  # messages a second over the last ten seconds
    rate_out: float = 0.0
    oldest_waiting: datetime | None = None  # acceptance time of the first waiting delivery
    last_error: ErrorInfo | None = None
    blocked: bool = False  # a strict or keyed queue waits behind a delivery that is held
    alerts: tuple[Alert, ...] = ()  # of the channel file's alerts:, those that hold now
    failed_on: tuple[str, ...] = ()  # the processes in which it is FAILED, where there are several
    halt: Halt | None = None  # who stopped it, and why


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One living process of several on a store.  ``role`` and ``version`` (of its configuration)
    are empty before it said them; ``here``: it is the one that was asked."""

    name: str  # host and data folder
    role: str
    started_at: datetime
    beat_at: datetime
    version: str
    here: bool = False
    channels: tuple[ChannelStatus, ...] = ()  # those that run in it, with its own counts


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The whole engine, all of its processes; counts are those of the living ones.

    ``ready``: store, broker and every channel are open, and new messages are taken; ``refusing``
    says why they are not (disk nearly full, too much waiting)."""

    started_at: datetime  # aware, UTC
    version: str  # content hash of the configuration that runs
    ready: bool
    channels: tuple[ChannelStatus, ...] = ()
    refusing: ErrorInfo | None = None
    nodes: tuple[NodeStatus, ...] = ()  # where several processes share the store
