"""What was sent, acknowledged and delivered, in memory that does not grow with the hours.

An `Account` is kept for each receiving system.  A message is missing as long as it was
acknowledged and did not arrive; after the drain nothing may be missing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from engine.demo.sender import Outgoing

_REMEMBERED = 200_000  # delivered ids kept to tell duplicates


class Account:
    """Acknowledged against delivered, for one receiving system.

    ``name`` is the system's; ``prefix`` is what the control ids of this run begin with: anything
    else still waited in the store from an earlier run."""

    def __init__(self, name: str, prefix: str, *, remembered: int = _REMEMBERED) -> None:
        self.name = name
        self.acknowledged = 0
        self.delivered = 0  # different messages
        self.duplicates = 0
        self.strangers = 0
        self._prefix = prefix
        self._awaited: dict[str, None] = {}
        self._arrived: OrderedDict[str, None] = OrderedDict()
        self._remembered = remembered

    @property
    def missing(self) -> int:
        """Acknowledged and not arrived yet."""
        return len(self._awaited)

    @property
    def remembered(self) -> int:
        return len(self._arrived)

    def missing_ids(self, limit: int = 10) -> list[str]:
        """The oldest of the missing."""
        return list(self._awaited)[:limit]

    def acknowledge(self, control_id: str) -> None:
        """The sender was told that the engine has it."""
        self.acknowledged += 1
        if control_id not in self._arrived:  # a delivery may be faster than its acknowledgement
            self._awaited[control_id] = None

    def arrive(self, control_id: str | None) -> None:
        """The receiving system took it."""
        if control_id is None or not control_id.startswith(self._prefix):
            self.strangers += 1
            return
        if control_id in self._arrived:
            self.duplicates += 1
            return
        self.delivered += 1
        self._awaited.pop(control_id, None)
        self._arrived[control_id] = None
        if len(self._arrived) > self._remembered:
            self._arrived.popitem(last=False)


class SenderAccount:
    """The journal of one sending system, which tells the receivers' accounts.  It sends one
    message after the other, so a repetition follows its first attempt."""

    def __init__(self, name: str, receivers: Sequence[Account]) -> None:
        self.name = name
        self.sent = 0  # different messages
        self.repeated = 0
        self.answered = 0  # positively
        self.refusals = 0
        self._receivers = receivers
        self._last = ""

    def sending(self, message: Outgoing) -> None:
        if message.control_id == self._last:
            self.repeated += 1
        else:
            self.sent += 1
            self._last = message.control_id

    def acknowledged(self, message: Outgoing) -> None:
        self.answered += 1
        for receiver in self._receivers:
            receiver.acknowledge(message.control_id)

    def refused(self, message: Outgoing, code: str) -> None:
        self.refusals += 1
