"""HTTP/1.1 as the scripted peers speak it: written out by hand, so that a fault can be put anywhere
and no HTTP library stands between the suite and the connector's bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engine.contract import Outcome
from engine.testing.harness import RETRY_AFTER, Reply

_LENGTH = re.compile(rb"^content-length:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)


def _take(buffer: bytearray) -> tuple[bytes, bytes] | None:
    """Remove the first whole message from ``buffer``: its head and its body.  None when there is
    none yet.  A body has a Content-Length here."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(buffer[:end]).replace(b"\r\n", b"\n")
    length = _LENGTH.search(head)
    size = int(length[1]) if length else 0
    if len(buffer) < end + 4 + size:
        return None
    body = bytes(buffer[end + 4 : end + 4 + size])
    del buffer[: end + 4 + size]
    return head, body


class HttpServerDialect:
    """A receiving system: `Reply` as statuses.  ``heads`` holds every request's line and headers.

    YES is ``success`` with ``body``; NEVER is 422 with ``refusal_body``.
    """

    def __init__(
        self,
        *,
        success: str = "200 OK",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        refusal_body: bytes = b"",
    ) -> None:
        self.heads: list[str] = []
        self._success = success
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._body = body
        self._refusal_body = refusal_body

    def take_requests(self, buffer: bytearray) -> Iterable[bytes]:
        while (message := _take(buffer)) is not None:
            self.heads.append(message[0].decode("latin-1"))
            yield message[1]

    def reply(self, reply: Reply, body: bytes) -> bytes:
        if reply is Reply.GARBLED:
            return b"220 mail.example ESMTP ready\r\n"
        if reply is Reply.NEVER:
            return self._answer("422 Unprocessable Content", "", self._refusal_body)
        if reply is Reply.LATER:
            return self._answer("503 Service Unavailable", f"Retry-After: {RETRY_AFTER}\r\n", b"")
        return self._answer(self._success, self._headers, self._body)

    @staticmethod
    def _answer(status: str, headers: str, body: bytes) -> bytes:
        head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        return head.encode("latin-1") + body


class HttpClientDialect:
    """A sending system: statuses as `Outcome`; ``headers`` go with every request."""

    def __init__(
        self, path: str = "/", *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> None:
        lines = {"Host": "engine.example", "Content-Type": "application/octet-stream"}
        lines.update(headers or {})
        self._head = f"{method} {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )
        self.statuses: list[int] = []

    def wire(self, body: bytes) -> bytes:
        return self.envelope(len(body))[0] + body

    def envelope(self, size: int) -> tuple[bytes, bytes]:
        return f"{self._head}Content-Length: {size}\r\n\r\n".encode("latin-1"), b""

    def take_answer(self, buffer: bytearray) -> Outcome | None:
        message = _take(buffer)
        if message is None:
            return None
        status = int(message[0].split(b" ", 2)[1])
        self.statuses.append(status)
        if 200 <= status < 300:
            return Outcome.ACCEPTED
        return Outcome.UNAVAILABLE if status in (429, 503) else Outcome.REJECTED
