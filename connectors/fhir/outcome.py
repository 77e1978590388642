"""What a FHIR server's answer says beyond its status: OperationOutcome, Bundle responses.

Pure.  Reads codes only, from closed sets; an issue's diagnostics and details may be clinical and
are never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from connectors.webclient.verdicts import Verdict, verdict

_CODE: Final = re.compile(r"^[a-z][a-z-]{0,40}$")
_TRANSIENT: Final = frozenset({"transient", "lock-error", "no-store", "timeout", "throttled"})
RESPONSES: Final = {
    "ok": Verdict.YES,
    "transient-error": Verdict.LATER,
    "fatal-error": Verdict.NEVER,
}


def first_issue(body: bytes) -> str | None:
    """``issue[0].code`` of an OperationOutcome; None where there is none."""
    outcome = _object(body)
    if outcome.get("resourceType") != "OperationOutcome":
        return None
    issues = outcome.get("issue")
    if not isinstance(issues, list) or not issues or not isinstance(issues[0], dict):
        return None
    code = issues[0].get("code")
    return code if isinstance(code, str) and _CODE.match(code) else None


def is_transient(code: str | None) -> bool:
    """Whether the issue code says that waiting helps (value set issue-type, under transient)."""
    return code in _TRANSIENT


def entry_verdicts(body: bytes) -> list[Verdict] | None:
    """One verdict for each entry of a batch's answer; None when it is no such answer."""
    bundle = _object(body)
    entries = bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle" or not isinstance(entries, list):
        return None
    return [verdict_of_entry(status) for status in _statuses(entries)]


def verdict_of_entry(status: int | None) -> Verdict:
    """An entry without a readable status is no yes, and may be asked again."""
    if status is None:
        return Verdict.LATER
    return verdict(status, retry=(409,))


def message_response(body: bytes) -> str | None:
    """``MessageHeader.response.code``, a key of `RESPONSES`, of the answer to a message; None
    where there is none."""
    entries = _object(body).get("entry")
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        return None
    header = entries[0].get("resource")
    if not isinstance(header, dict) or header.get("resourceType") != "MessageHeader":
        return None
    response = header.get("response")
    code = response.get("code") if isinstance(response, dict) else None
    return code if isinstance(code, str) and code in RESPONSES else None


def _statuses(entries: list[Any]) -> Iterator[int | None]:
    for entry in entries:
        response = entry.get("response") if isinstance(entry, dict) else None
        status = response.get("status") if isinstance(response, dict) else None
        digits = status[:3] if isinstance(status, str) else ""
        yield int(digits) if digits.isascii() and digits.isdigit() and len(digits) == 3 else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
