"""What strict validation of a document finds, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a document breaks the rules of its format.

    ``place`` names an element of the document (``Patient.name[0].family``, ``PID-3.1``).  Neither
    it nor ``problem`` holds a value of the document: both may be stored, logged and sent.
    """

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem
