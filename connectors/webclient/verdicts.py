"""What an HTTP status means for a delivery (RFC 9110, RFC 6585), and how long to wait.

The line is drawn between trouble of the endpoint and trouble of the payload.  A status that the
same payload can get rid of by waiting, or that a person mends without touching the payload
(credentials, a moved address), is retried, so that one expired password does not turn a whole
queue into dead letters.  What the peer says about the payload is final.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

LONGEST_WAIT: Final = timedelta(days=1)
"""A peer cannot ask for more; the channel's retry policy decides from there."""

# 401 and 407: mend the credentials.  408 and 425: the request was not processed.
# 423: locked by another transaction.  429 and 503: not now.
_RETRIED: Final = frozenset({401, 407, 408, 423, 425, 429})
# These two say that the peer will never understand such a request.
_NEVER: Final = frozenset({501, 505})


class Verdict(Enum):
    YES = "yes"
    LATER = "later"
    NEVER = "never"


def verdict(
    status: int,
    *,
    success: Collection[int] = (),
    retry: Collection[int] = (),
    reject: Collection[int] = (),
) -> Verdict:
    """Pure.  ``success`` replaces 200-299 when given; ``retry`` and ``reject`` add exceptions.

    Without exceptions: 2xx is yes; 3xx (the address moved, and redirects are not followed), 401,
    407, 408, 423, 425, 429 and 5xx but 501 and 505 are later; everything else is never.  500 is
    "later" because the peer says that it failed, not that the payload is wrong.
    """
    if (status in success) if success else (200 <= status < 300):
        return Verdict.YES
    if status in reject:
        return Verdict.NEVER
    if status in retry or status in _RETRIED or 300 <= status < 400:
        return Verdict.LATER
    if status >= 500 and status not in _NEVER:
        return Verdict.LATER
    return Verdict.NEVER


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait asked for by a ``Retry-After`` header, in either form; None when there is none.

    Never negative, at most `LONGEST_WAIT`; an unreadable value counts as absent.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Eight digits are three years: more would only overflow.
        return min(timedelta(seconds=int(text[:8])), LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(when - now, timedelta(0)), LONGEST_WAIT)
