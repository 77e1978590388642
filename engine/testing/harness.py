"""What a connector brings to its suite: how to make it, and a peer that follows a script.

A harness is built with an empty folder for each check, then started, and stopped at the end.
``lacks`` declares what the protocol has not (a trait of `engine.testing.promises.TRAITS` and the
reason); the checks that need it say so instead of running.  `engine.testing.peers` has ready-made
TCP peers that need only a dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from engine.contract import ConnectorSpec, Destination, Outcome, Payload, Services, Source
from engine.testing.services import TlsContexts


class Gone(Exception):
    """The connection ended before an answer came."""


class SourcePeer(Protocol):
    """One sending system, on one connection where the protocol has such."""

    async def offer(self, body: bytes) -> None:
        """Send one whole message; returns when the system took all its bytes.  Raises Gone."""

    async def write(self, wire: bytes) -> None:
        """Send these bytes as they are.  Raises Gone.  (trait ``framing`` or ``malformed``)"""

    async def pour(self, size: int) -> None:
        """Send one message of ``size`` bytes that is never held in memory.  Raises Gone."""

    async def answer(self) -> Outcome:
        """The next answer: ACCEPTED (positive), REJECTED or UNAVAILABLE.  Raises Gone.

        Safe to cancel.  (trait ``answers``)
        """

    async def leave(self) -> None:
        """Break off at once; nothing happens the second time."""


class SourceHarness(Protocol):
    """For one source.  Each `create` makes a new one that listens at the same place."""

    spec: ConnectorSpec
    lacks: Mapping[str, str]
    secrets: Sequence[str]  # in the settings, and never in a log
    tls: TlsContexts | None  # how `tls:` settings become contexts

    async def start(self) -> None: ...
    async def stop(self) -> None:
        """Also every peer leaves that is still there after a check that failed."""

    def create(self, services: Services) -> Source: ...
    def body(self, content: bytes) -> bytes:
        """A message the protocol can carry that holds this content, as ``accept`` shall get it."""

    def wire(self, body: bytes) -> bytes:
        """The bytes of one message as they are sent.  (trait ``framing``)"""

    def malformed(self) -> Sequence[bytes]:
        """Bytes that are not a message.  (trait ``malformed``)"""

    async def connect(self) -> SourcePeer:
        """Return when the source took the connection; tries again for two seconds."""


class Reply(StrEnum):
    """What a scripted peer does with one request it has read in full."""

    YES = "yes"  # say yes (the default)
    NEVER = "never"  # a permanent refusal
    LATER = "later"  # a temporary refusal; asks for `RETRY_AFTER` seconds where it can
    HOLD = "hold"  # say yes when released
    DIE = "die"  # end the connection without a word
    GARBLED = "garbled"  # say something that is no reply of the protocol
    FOREIGN = "foreign"  # say yes to some other request (trait ``correlates``)


RETRY_AFTER = 7
"""Seconds that a peer asks to wait with `Reply.LATER`."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as the peer read it, and the number of the connection it came on."""

    body: bytes
    connection: int = 0


class DestinationPeer(Protocol):
    """The receiving system.  Listens when the harness is started."""

    @property
    def received(self) -> Sequence[Received]:
        """Every request (file, …) read in full so far, in order."""

    @property
    def connections(self) -> int:
        """How many are open now."""

    @property
    def peak(self) -> int:
        """The most requests that were waiting for their reply at one time."""

    def script(self, *replies: Reply) -> None:
        """What to do with the next requests; afterwards YES."""

    def release(self) -> None:
        """Let every held reply go."""

    async def listen(self) -> None:
        """Be there again after `vanish`."""

    async def vanish(self) -> None:
        """Listen no more and drop every connection."""


class DestinationHarness(Protocol):
    """For one destination, which `create` points at ``peer`` with a short reply time-out."""

    spec: ConnectorSpec
    lacks: Mapping[str, str]
    secrets: Sequence[str]
    tls: TlsContexts | None
    refusal: str  # the ``peer_code`` of Reply.NEVER: AR, 422
    peer: DestinationPeer

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def create(self, services: Services) -> Destination: ...
    def payload(self, content: bytes) -> Payload:
        """A payload the protocol can carry that holds this content."""


SourceHarnessType = Callable[[Path], SourceHarness]
DestinationHarnessType = Callable[[Path], DestinationHarness]


def unbound(*_: Any) -> Any:
    """The harness of a suite that nobody bound."""
    raise NotImplementedError("set `harness` to the connector's harness class")
