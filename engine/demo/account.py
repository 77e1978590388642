"""What was sent, acknowledged and delivered, in memory that does not grow with the hours.

An `Account` is kept for each receiving system.  A message counts as lost as long as it was
acknowledged and did not arrive; after the drain that number must be zero.
"""

from __future__ import annotations

from collections import OrderedDict

_REMEMBERED = 200_000  # delivered ids kept to tell duplicates


class Account:
    """Acknowledged against delivered, for one receiving system."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self.acknowledged = 0
        self.delivered = 0  # different messages
        self.duplicates = 0
        self.strangers = 0  # messages of an earlier run that were still waiting in the store
        self._awaited: dict[str, None] = {}
        self._arrived: OrderedDict[str, None] = OrderedDict()
        self._remembered = remembered

    @property
    def missing(self) -> int:
        """Acknowledged and not arrived yet."""
        return len(self._awaited)

    def missing_ids(self, limit: int = 10) -> list[str]:
        """The oldest of the missing."""
        return list(self._awaited)[:limit]

    def acknowledge(self, control_id: str) -> None:
        """The sender was told that the engine has it."""
        self.acknowledged += 1
        if control_id not in self._arrived:  # a delivery may be faster than its acknowledgement
            self._awaited[control_id] = None

    def arrive(self, control_id: str) -> None:
        """The receiving system took it."""
        if control_id in self._arrived:
            self.duplicates += 1
            return
        self.delivered += 1
        self._awaited.pop(control_id, None)
        self._arrived[control_id] = None
        if len(self._arrived) > self._remembered:
            self._arrived.popitem(last=False)
