"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The most similar candidate, or None when nothing is similar; capitals do not matter."""
    known: dict[str, str] = {}
    for candidate in candidates:
        known.setdefault(candidate.casefold(), candidate)
    found = get_close_matches(name.casefold()[:200], known, n=1, cutoff=0.6)
    return known[found[0]] if found else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A help line: ``did you mean 'x'?``, else the list when it is short, else None."""
    names = sorted(candidates)
    found = nearest(name, names)
    if found is not None:
        return f"did you mean '{found}'?"
    if names and len(names) <= 12:
        return "known: " + ", ".join(names)
    return None
