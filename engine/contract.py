"""The whole contract between the engine and everything plugged into it.

A connector, a broker, a store or a format imports this module (and `engine.units`, and for
connectors `engine.formats`) and nothing else of the engine.  Nothing here does I/O.

What the engine does with each error:

* ``EngineError``
    * ``ConfigError``            never started; shown by ``carebus lint`` with file and line
    * ``FormatError``            unreadable payload: its sender is told, it is stored as REJECTED
    * ``MappingError``           permanent until mended; carries file, line and rule, never values
    * ``NotConnected``           nothing was sent: re-open with back-off, no attempt is counted
    * ``DeliveryError``
        * ``RetryableError``     the same payload may succeed later: the channel's retry policy
        * ``RejectedError``      the same payload will never succeed: dead letter
        * ``UncertainError``     the peer may or may not have it: the channel's ``on_uncertain``
    * ``BrokerError``
        * ``Unroutable``         no queue took the envelope: a topology defect, never dropped
        * ``BrokerUnavailable``  not confirmed, or the queue is full: publish again later
        * ``LeaseLost``          settled twice or too late: the envelope comes again
    * ``StoreError``
        * ``StoreUnavailable``   not written (disk full, store closed): nothing was accepted
        * ``IllegalTransition``  the state machine does not know this step: nothing was written
        * ``UnknownMessage``     no message or delivery has this id
"""

from __future__ import annotations

import importlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NewType, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pydantic import BaseModel

API_VERSION: Final = 1

MessageId = NewType("MessageId", str)
"""A UUIDv7 in its canonical text form: ids sort by the time of acceptance."""

ChannelName = NewType("ChannelName", str)
DeliveryId = NewType("DeliveryId", int)
"""Given by the store, strictly increasing in order of acceptance within one store."""

NAME_PATTERN: Final = re.compile(r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$")
"""What channels, routes, mappings and connectors may be called."""


# --- values ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes exactly as they are on the wire, and what they claim to be."""

    body: bytes = field(repr=False)  # clinical content never reaches a log by accident
    content_type: str = "application/octet-stream"
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a source hands over; the engine gives it an identity.

    ``dedup_key`` is set only by sources whose protocol has one (a file's name and time);
    the channel's ``duplicates:`` rule wins over it.
    """

    payload: Payload
    received_at: datetime  # aware, UTC
    peer: str  # address or path of the sender, never clinical
    dedup_key: str | None = None
    ordering_key: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Search keys that the protocol knows; those of the channel's ``index:`` come on top."""


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message.  Immutable."""

    id: MessageId
    channel: ChannelName
    payload: Payload
    received_at: datetime
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    parents: tuple[MessageId, ...] = ()


@dataclass(frozen=True, slots=True)
class Outbound:
    """What a destination is asked to deliver: ``payload`` is the mapped content."""

    message: Message
    payload: Payload
    attempt: int = 1
    possible_duplicate: bool = False  # an earlier attempt may have reached the peer
    target: str = ""  # ``route/target``: with the message's id, the same for every attempt


@dataclass(frozen=True, slots=True)
class Delivered:
    """Returned by a destination after the peer said yes, and never before."""

    reply: Payload | None = None
    remote_id: str | None = None


class Stage(StrEnum):
    STARTING = "starting"  # settings, configuration, opening
    RECEIVING = "receiving"
    ROUTING = "routing"
    MAPPING = "mapping"
    SENDING = "sending"
    STORING = "storing"


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error that may be stored, shown and sent: a code and where, no clinical values."""

    code: str  # from engine.syntax.codes or the connector's documented codes: "MLLP-NAK", "R201"
    summary: str
    stage: Stage
    location: str | None = None  # mappings/adt-to-fhir.yaml:50:27
    peer_code: str | None = None  # AR, 422, 0xA700
    help: str | None = None  # what to do next


# --- what the sender is told ----------------------------------------------------------------


class Outcome(StrEnum):
    ACCEPTED = "accepted"  # stored durably; the engine owns it now
    DUPLICATE = "duplicate"  # already owned; answer as for ACCEPTED
    REJECTED = "rejected"  # will never be taken: do not send it again
    UNAVAILABLE = "unavailable"  # not taken now: send it again


@dataclass(frozen=True, slots=True)
class Receipt:
    outcome: Outcome
    message_id: MessageId | None = None
    error: ErrorInfo | None = None
    reply: Payload | None = None  # request/reply channels only


Accept = Callable[[Inbound], Awaitable[Receipt]]
"""Given to every source.

Returns once the outcome is known, and only then may the source answer its peer.  Waiting is the
back-pressure.  It never raises for a message's sake; it raises ``asyncio.CancelledError`` when
the channel stops, and then no positive answer may be sent.  May be called concurrently; order
is kept for calls that are made one after the other's return.
"""


# --- errors ---------------------------------------------------------------------------------


class EngineError(Exception):
    """Every documented failure.  ``str()`` is ``code: summary`` and holds no clinical value."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(f"{info.code}: {info.summary}")
        self.info = info


class ConfigError(EngineError):
    """The configuration is wrong; nothing was started."""


class FormatError(EngineError):
    """The payload is not what its format says."""


class MappingError(EngineError):
    """A mapping cannot turn this message into its output."""


class NotConnected(EngineError):
    """The peer was not reached; not one byte of the payload left."""


class DeliveryError(EngineError):
    """The payload was offered to the peer and not delivered."""


class RetryableError(DeliveryError):
    """The peer said "not now"; ``after`` is the wait it asked for, if any."""

    def __init__(self, info: ErrorInfo, *, after: timedelta | None = None) -> None:
        super().__init__(info)
        self.after = after


class RejectedError(DeliveryError):
    """The peer said "never"."""


class UncertainError(DeliveryError):
    """Bytes left and no answer came back: the peer may or may not have the message."""


class BrokerError(EngineError):
    """The broker did not do what was asked."""


class Unroutable(BrokerError):
    """No declared queue has this name."""


class BrokerUnavailable(BrokerError):
    """Not confirmed: the envelope is not in a queue."""


class LeaseLost(BrokerError):
    """The lease was settled before, or the broker took it back."""


class StoreError(EngineError):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """Nothing was written."""


class IllegalTransition(StoreError):
    """A delivery cannot go from its present state to the one asked for."""


class UnknownMessage(StoreError):
    """No message or delivery has this id."""


# --- connectors -----------------------------------------------------------------------------


class Component(Protocol):
    """Life cycle of everything that holds a resource.

    ``open`` may be called again after ``close``.  ``close`` is idempotent, works on a component
    that never opened, and returns within the grace it is given.
    """

    async def open(self) -> None: ...
    async def close(self, grace: timedelta) -> None: ...


class Source(Component, Protocol):
    async def run(self, accept: Accept) -> None:
        """Feed ``accept`` until cancelled, or return when the input is exhausted.

        Called once after each ``open``.  Raises ``NotConnected`` when the resource is lost:
        the engine closes and re-opens with back-off.
        """


class Destination(Component, Protocol):
    async def send(self, outbound: Outbound) -> Delivered:
        """Deliver ONCE.  Never retry, reconnect or send again in here: raise instead.

        Raises NotConnected, RetryableError, RejectedError or UncertainError, nothing else.
        Called concurrently up to ``Capabilities.max_in_flight``.  When cancelled, the
        connection used is closed before the cancellation goes on.
        """


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str = ""


@runtime_checkable
class Checkable(Protocol):
    """Optional: what ``carebus check`` runs before a channel is deployed."""

    async def check(self) -> Sequence[Check]: ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the engine may assume of a connector; each claim is tested by its suite."""

    max_in_flight: int = 1  # sends (destinations) or accepts (sources) at once
    ordered: bool = True  # the peer sees messages in the order of the calls
    replies: bool = False  # the peer's answer holds application data
    deduplicates: bool = False  # the peer ignores a second copy: an unknown outcome may be retried
    #                             (sources) every message comes with a ``dedup_key`` of the protocol
    redelivers: bool = False  # (sources) an unanswered message comes again by itself
    single: bool = False  # (sources) of all engine processes, one at a time may run it: it polls


class Stability(StrEnum):
    EXPERIMENTAL = "experimental"
    BETA = "beta"
    STABLE = "stable"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Limits:
    """The channel's ``limits:``, which the source enforces."""

    message: int = 16 * 1024 * 1024  # bytes
    connections: int = 50
    idle: timedelta = timedelta(minutes=10)
    rate: float | None = None  # messages a second; None: no limit


class Services(Protocol):
    """What the engine lends a component: nothing global, everything replaceable in tests."""

    @property
    def channel(self) -> ChannelName: ...
    @property
    def charset(self) -> str | None:
        """The channel's default charset; what a message declares for itself wins."""

    @property
    def limits(self) -> Limits: ...
    @property
    def shares_port(self) -> bool:
        """Listen with SO_REUSEPORT: other processes of this engine listen on the same port."""

    @property
    def spool(self) -> Path:
        """A folder of the channel's own on this node, beside the engine's data, for what has not
        arrived whole.  It need not exist yet."""

    @property
    def log(self) -> Any:
        """A structlog logger bound to the channel.  Never give it content."""

    def now(self) -> datetime:
        """Aware UTC time."""

    def tls(self, settings: Any, *, server: bool) -> ssl.SSLContext:
        """The context for a ``tls:`` setting (a profile's name or ``TlsSettings``).

        Raises ConfigError when a file is missing or a key does not fit its certificate.
        """


@dataclass(frozen=True, slots=True)
class Role:
    """One direction of a connector.

    ``factory`` is ``"module:Class"``, imported when the first channel needs it, so that listing
    connectors loads no protocol library.  The class is called ``Class(settings, services)``.
    """

    settings: type[BaseModel]
    factory: str
    capabilities: Capabilities = Capabilities()

    def create(self, settings: BaseModel, services: Services) -> Any:
        """Import and build the Source or Destination; no I/O happens before ``open``."""
        module, _, name = self.factory.partition(":")
        return getattr(importlib.import_module(module), name)(settings, services)


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One entry of a connector's bounded list of error codes, for ``carebus describe``."""

    code: str
    meaning: str
    help: str


@dataclass(frozen=True, slots=True)
class ConnectorSpec:
    """Everything known about a connector, said once.

    Parsing, lint, JSON Schema, ``carebus describe`` and ``create``, the reference docs and the
    conformance suites are all derived from it.
    """

    api: ClassVar[int] = API_VERSION
    name: str
    summary: str
    since: str = "0.1"
    stability: Stability = Stability.EXPERIMENTAL
    source: Role | None = None
    destination: Role | None = None
    examples: tuple[str, ...] = ()  # whole channel files in YAML, linted by the tests
    errors: tuple[ErrorCode, ...] = ()
    notes: str = ""


# --- broker ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Envelope:
    """What travels through the broker: a reference, never clinical content."""

    delivery: DeliveryId
    message_id: MessageId
    route: str = ""
    target: str = ""
    attempt: int = 1  # the number the next send will have
    not_before: datetime | None = None  # a retry that was waiting when the engine stopped: obey it
    possible_duplicate: bool = False
    redelivered: bool = False  # handed out before and not settled


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One lane of one target.  ``name`` is ``channel`` or ``channel/lane``."""

    name: str
    ordered: bool = True
    capacity: int = 1000  # envelopes held at most; more raise BrokerUnavailable


@dataclass(frozen=True, slots=True)
class QueueStats:
    ready: int
    leased: int
    delayed: int
    parked: int


class Lease(Protocol):
    """One envelope in a worker's hands.

    Exactly one of ``ack``, ``retry``, ``park``, exactly once; a second settle raises LeaseLost,
    and a lease that is never settled comes again when its consumer ends.
    """

    @property
    def envelope(self) -> Envelope: ...
    @property
    def lost(self) -> bool:
        """The broker took it back unasked: another consumer may have it.  Do not begin a send."""

    async def ack(self) -> None: ...
    async def retry(self, after: timedelta, *, possible_duplicate: bool = False) -> None:
        """Give it back.  It comes again not before ``after``, with ``attempt`` + 1; in an ordered
        queue nothing overtakes it.  ``possible_duplicate`` is sticky."""

    async def park(self, error: ErrorInfo) -> None:
        """Set it aside: it does not come again, the rest of the queue goes on."""


class Broker(Component, Protocol):
    @property
    def shared(self) -> bool:
        """Other processes publish to these queues and consume from them."""

    async def declare(self, queues: Sequence[QueueSpec]) -> None:
        """Make these queues exist.  A queue that is declared again keeps its envelopes."""

    async def purge(self, queue: str) -> None:
        """Forget the envelopes of this queue that nobody has leased: its channel starts, and its
        relay reads the store from the beginning.  Raises Unroutable."""

    async def publish(self, queue: str, envelopes: Sequence[Envelope]) -> None:
        """Return after every envelope is confirmed in the queue, in this order; else raise.

        Raises Unroutable or BrokerUnavailable; then none, or only a prefix, is in the queue.
        """

    def consume(
        self, queue: str, *, prefetch: int
    ) -> AbstractAsyncContextManager[AsyncIterator[Lease]]:
        """Leases in order, at most ``prefetch`` unsettled at a time.  On exit every unsettled
        lease goes back to the head of its queue."""

    async def stats(self, queue: str) -> QueueStats: ...


# --- store ----------------------------------------------------------------------------------


class State(StrEnum):
    """Of a message as received, and of each of its deliveries (see engine.store.states)."""

    RECEIVED = "received"
    FILTERED = "filtered"  # no route wanted it, and the channel says that is right
    UNROUTED = "unrouted"  # no route wanted it: loud
    REJECTED = "rejected"  # could not be read: the sender was told, the bytes are kept
    QUEUED = "queued"
    RETRYING = "retrying"
    UNCERTAIN = "uncertain"
    SENT = "sent"
    DEAD = "dead"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One target of a new message."""

    route: str
    target: str  # unique within its route
    channel: ChannelName  # the outbound channel
    lane: int = 0
    key_hash: int = (
        0  # 32 bits of the ordering key; lanes are computed from it again when they change
    )


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message with everything that must become durable together."""

    message: Message
    state: State  # RECEIVED, FILTERED, UNROUTED or REJECTED
    type: str = ""  # the format's key: ADT^A01, ServiceRequest
    peer: str = ""
    control_id: str = ""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)  # patient, visit, order …
    deliveries: tuple[NewDelivery, ...] = ()
    dedup_key: str | None = None
    dedup_within: timedelta | None = None
    error: ErrorInfo | None = None
    config_version: str = ""  # content hash of the routes that decided


@dataclass(frozen=True, slots=True)
class Stored:
    message_id: MessageId  # of the first copy, when ``duplicate``
    deliveries: tuple[DeliveryId, ...] = ()
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a delivery.  Recording it moves the delivery to ``state``."""

    delivery: DeliveryId
    message_id: MessageId
    state: State
    at: datetime
    attempt: int = 0
    possible_duplicate: bool = False
    error: ErrorInfo | None = None
    actor: str = "engine"
    next_at: datetime | None = None  # RETRYING: not before
    sent: Payload | None = None  # what was mapped and sent
    reply: Payload | None = None  # what came back
    remote_id: str | None = None
    mapping_version: str = ""
    route_version: str = ""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A delivery that is not finished, as the outbox relay and the workers see it."""

    delivery: DeliveryId
    message_id: MessageId
    route: str
    target: str
    channel: ChannelName
    lane: int
    state: State  # QUEUED, RETRYING or UNCERTAIN
    attempt: int  # sends so far
    next_at: datetime | None
    possible_duplicate: bool
    begun: int = 0  # the attempt mark: a send that was begun, and nobody recorded how it ended
    key_hash: int = 0  # as in NewDelivery: where ``lane`` differs, the number of lanes was changed


Committed = Callable[[Sequence[tuple[NewMessage, Stored]]], None]
"""Called on the event loop after each commit of accepted messages, in delivery-id order and
before any ``accept`` of that commit returns.  Duplicates are left out.  Must not block or raise."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search over messages; every given field must match.  Times are half-open [since, until)."""

    channel: str | None = None  # inbound, or outbound of one of its deliveries
    state: State | None = None  # of the message or of one of its deliveries
    type: str | None = None
    control_id: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50
    before: MessageId | None = None  # cursor: only messages older than this one
    message_id: MessageId | None = None  # exactly this one


@dataclass(frozen=True, slots=True)
class DeliverySummary:
    delivery: DeliveryId
    route: str
    target: str
    channel: ChannelName
    state: State
    attempt: int
    error: ErrorInfo | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MessageSummary:
    message_id: MessageId
    channel: ChannelName
    type: str
    control_id: str
    state: State
    received_at: datetime
    size: int
    deliveries: tuple[DeliverySummary, ...]
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as history shows it, also for the message itself (``delivery`` is None)."""

    delivery: DeliveryId | None
    state: State
    at: datetime
    attempt: int
    possible_duplicate: bool
    error: ErrorInfo | None
    actor: str
    remote_id: str | None
    mapping_version: str
    route_version: str
    sent: Payload | None = None
    reply: Payload | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Unfinished deliveries of one outbound channel."""

    channel: ChannelName
    state: State
    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Unfinished deliveries of the messages of one source to one target of one route."""

    source: ChannelName  # the inbound channel
    route: str
    target: str
    channel: ChannelName  # the outbound channel
    count: int


@dataclass(frozen=True, slots=True)
class Halt:
    """A channel that a person stopped, until somebody starts it: for every engine on the store."""

    channel: ChannelName
    at: datetime  # aware, UTC
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A person decided something through another engine: about one delivery, about a channel, or,
    without either, perhaps about anything, since notices may have been missed."""

    channel: ChannelName | None = None
    delivery: DeliveryId | None = None


@dataclass(frozen=True, slots=True)
class StoreRoom:
    """What back-pressure looks at, in bytes."""

    bytes_free: int  # of the disk, for this user
    bytes_total: int  # of the disk
    bytes_used: int  # by the store's database (large content apart)


class MessageStore(Component, Protocol):
    """Everything that was promised.  All methods may be called concurrently from one event loop."""

    @property
    def shared(self) -> bool:
        """Other engines may have it open too."""

    @property
    def sure(self) -> bool:
        """What is sent now can still be recorded: no other engine took over what this one has in
        hand.  Asked before each send; costs nothing."""

    def subscribe(self, committed: Committed) -> None: ...

    def listen(self, told: Callable[[Notice], None]) -> None:
        """Before `open`: ``told`` is called on the event loop with what was decided through other
        engines, soon after its commit.  The store says what it was."""

    async def accept(self, new: NewMessage) -> Stored:
        """One transaction: the message, its first event, its deliveries and its search keys.

        Returns when it survives a power cut.  Waiters share a commit.  A ``dedup_key`` known
        within ``dedup_within`` returns the first copy with ``duplicate=True`` and writes nothing.
        Cancelling the wait does not undo the write.  Raises StoreUnavailable.
        """

    async def begin(self, delivery: DeliveryId, attempt: int) -> None:
        """The attempt mark: durable on return.  After a crash, a marked delivery without an
        outcome becomes UNCERTAIN.  ``attempt`` 0 takes the mark away: nothing was sent.

        Raises IllegalTransition when the delivery is not QUEUED, UnknownMessage, StoreUnavailable.
        """

    async def record(self, event: Event) -> None:
        """Append the event and move the delivery; durable on return; waiters share a commit.

        Raises IllegalTransition (nothing of this event is written) or StoreUnavailable.
        """

    async def record_all(self, events: Sequence[Event]) -> Sequence[StoreError | None]:
        """`record` for many at once, in one commit where possible.  One answer for each event, in
        order: None when it is durable.  Never raises for an event's sake."""

    def disown(self) -> None:
        """Outcomes of this run are missing: the next start must take this stop for unclean."""

    async def recover(self) -> Mapping[str, int]:
        """Called once after ``open``: marked deliveries become UNCERTAIN; after an unclean stop
        every unfinished delivery is flagged ``possible_duplicate``.  Returns counts.

        Where several engines share the store, this is done with what dead engines had in hand, and
        with nothing of a living one; it becomes this engine's (``taken``).  May be called again at
        any time."""

    async def relane(self, channel: ChannelName, lanes: int) -> int:
        """Compute the lane of every unfinished delivery again; returns how many changed."""

    async def outbox(
        self, channel: ChannelName, lane: int, *, after: int, limit: int, mine: bool = False
    ) -> Sequence[OutboxEntry]:
        """Unfinished deliveries with an id above ``after``, in order.  ``mine``: where several
        engines share the store, those that this one has in hand.

        Ids rise with time, also from one engine to the next: a delivery whose message was accepted
        after another was acknowledged has the higher id.  Of messages that two engines accept at
        the same time, the lower id may be committed last."""

    async def load(self, message_id: MessageId) -> Message:
        """With its content.  Raises UnknownMessage, also when the content was purged."""

    async def delivery(self, delivery: DeliveryId) -> OutboxEntry | None:
        """None when it is finished (SENT, DEAD, CANCELLED) or does not exist."""

    async def history(
        self, message_id: MessageId, *, content: bool = False
    ) -> Sequence[StoredEvent]: ...
    async def search(self, query: Query) -> Sequence[MessageSummary]:
        """Newest first."""

    async def replay(self, delivery: DeliveryId, *, actor: str) -> OutboxEntry:
        """SENT, DEAD, CANCELLED or UNCERTAIN → QUEUED, attempts counted anew.

        Raises IllegalTransition, UnknownMessage."""

    async def cancel(self, delivery: DeliveryId, *, actor: str) -> None:
        """QUEUED, RETRYING, UNCERTAIN or DEAD → CANCELLED.

        Where several engines share the store, another one may be sending it at this moment.  When
        that is known (an attempt mark), IllegalTransition; else the outcome of that send still
        counts: SENT takes the place of CANCELLED, and an unknown one is added to the history."""

    async def hurry(self, delivery: DeliveryId) -> OutboxEntry:
        """A RETRYING delivery is due now.  Raises IllegalTransition, UnknownMessage."""

    async def halt(self, channel: ChannelName, *, actor: str, reason: str = "") -> None:
        """Remember that a person stopped this channel.  Who did it first, and why, stays."""

    async def resume(self, channel: ChannelName) -> None:
        """Forget it."""

    async def halted(self) -> Sequence[Halt]:
        """By the names of the channels."""

    async def reroute(
        self,
        message_id: MessageId,
        deliveries: Sequence[NewDelivery],
        *,
        actor: str,
        config_version: str,
    ) -> Sequence[OutboxEntry]:
        """UNROUTED or FILTERED → RECEIVED, with these deliveries, at least one: a message that no
        route wanted when it came is routed again.  Each begins QUEUED, with an event that names
        the actor.

        Raises IllegalTransition, UnknownMessage (also when its content was purged)."""

    async def backlog(self) -> Sequence[Backlog]:
        """By channel and state; the DEAD are counted too.  Never counts what is finished."""

    async def waiting(self) -> Sequence[Waiting]:
        """Every unfinished delivery, by where it comes from and goes to.  Looks at each of them:
        for a reload, not for every second."""

    async def room(self) -> StoreRoom:
        """Cheap enough to ask once a second.  Raises StoreUnavailable."""

    async def sources(self) -> Sequence[ChannelName]:
        """The channels by which stored messages came, also those that are no longer configured.
        Costs a seek for each of them."""

    async def roll(self, *, content_before: datetime, events_before: datetime) -> int:
        """Delete whole days at once where the store keeps them apart: those that ended before
        these times and hold nothing unfinished.  For what no channel keeps any more; once in a
        while, also to make room for the days to come.  Returns 0 when there was nothing to do."""

    async def purge(
        self,
        older_than: datetime,
        *,
        content_only: bool,
        limit: int = 1000,
        channel: ChannelName | None = None,
    ) -> int:
        """Delete one small batch of finished messages received by ``channel`` (None: by any), or
        only their content; returns how many."""


# --- documents, mappings --------------------------------------------------------------------


class Document(Protocol):
    """A parsed payload.  ``format`` names the path grammar that reads it."""

    @property
    def format(self) -> str: ...


class Format(Protocol):
    """Bytes to documents and back.  Stateless and safe to share."""

    @property
    def name(self) -> str: ...
    def parse(self, payload: Payload, *, charset: str | None = None) -> Document:
        """Raises FormatError; ``charset`` is the default where the payload declares none."""

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        """A target tree (what a mapping's ``out`` gives) or a Document.  Raises FormatError."""

    def key(self, document: Document) -> str:
        """The routing type: ``ADT^A01``, ``ServiceRequest``; empty when there is none."""

    def control_id(self, document: Document) -> str:
        """What its sender calls this message (MSH-10, Bundle.identifier); empty when nothing."""


@dataclass(frozen=True, slots=True)
class MapContext:
    """What a mapping may know besides its document."""

    message_id: MessageId
    now: datetime  # the acceptance time: a replay gives the same output
    channel: ChannelName = ChannelName("")
    params: Mapping[str, Any] = field(default_factory=dict)
    timezone: str | None = None  # of times without a zone; None: UTC
    structures: Mapping[str, Any] = field(default_factory=dict)
    """The inbound channel's own HL7 v2 message structures, as engine.formats.hl7v2 reads them."""
