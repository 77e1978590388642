"""Which ids a table has, as ranges: a million messages that follow each other are one pair."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of integers.  16 bytes for each run of them."""

    __slots__ = ("_first", "_last", "count")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """``ranges``: pairs of the first and the last, rising, not touching."""
        self._first = array("q")
        self._last = array("q")
        self.count = 0
        """How many integers are in it."""
        for first, last in ranges:
            self._first.append(first)
            self._last.append(last)
            self.count += last - first + 1

    def add(self, number: int) -> None:
        """Cheap where it is the highest so far; a number below that must not be there yet."""
        if self._last and number == self._last[-1] + 1:
            self._last[-1] = number
        elif not self._last or number > self._last[-1]:
            self._first.append(number)
            self._last.append(number)
        else:
            raise ValueError("ids must rise")
        self.count += 1

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._first, number) - 1
        return place >= 0 and number <= self._last[place]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._first, self._last, strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranges):
            return NotImplemented
        return self._first == other._first and self._last == other._last

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        """How many runs."""
        return len(self._first)

    def union(self, other: Ranges) -> Ranges:
        """What is in either."""
        return Ranges(_merged(sorted([*self, *other])))

    def missing_from(self, other: Ranges) -> int:
        """How many of these are not in ``other``."""
        missing = 0
        theirs = iter(other)
        low, high = next(theirs, (None, None))
        for first, last in self:
            at = first
            while at <= last:
                while high is not None and high < at:
                    low, high = next(theirs, (None, None))
                if low is None or high is None or low > last:
                    missing += last - at + 1
                    break
                if low > at:
                    missing += low - at
                at = high + 1
        return missing


def _merged(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current: tuple[int, int] | None = None
    for first, last in ranges:
        if current is not None and first <= current[1] + 1:
            current = (current[0], max(current[1], last))
            continue
        if current is not None:
            yield current
        current = (first, last)
    if current is not None:
        yield current


def of(numbers: Iterable[int]) -> Ranges:
    """Of numbers that rise."""
    found = Ranges()
    for number in numbers:
        found.add(number)
    return found
