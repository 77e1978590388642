"""Asking a running engine, from the command line: one blocking request at a time."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

import orjson

from engine.api.access import read_access
from engine.contract import EngineError, ErrorInfo, Stage
from engine.flow.status import EngineStatus

_SECONDS: Final = 10.0
_SECONDS_OF_REPLAY: Final = 600.0


class Unreachable(EngineError):
    """No engine answers."""


class Refusal(Exception):
    """The engine answered with a problem; ``body`` is the whole answer."""

    def __init__(
        self, status: int, code: str, title: str, help: str, body: Mapping[str, Any]
    ) -> None:
        super().__init__(f"{code}: {title}")
        self.status = status
        self.code = code
        self.title = title
        self.help = help
        self.body = body


class ControlClient:
    """Speaks to the engine that runs on a data directory; finds it again for each request, so
    that it survives the engine's restart.  Raises Unreachable and Refusal."""

    def __init__(self, data: Path, *, actor: str) -> None:
        self._data = data
        self._actor = actor

    def status(self) -> EngineStatus:
        from engine.api.wire import status_from_json

        return status_from_json(self._ask("GET", "/api/v1/status"))

    def search(self, given: Mapping[str, str]) -> Any:
        return orjson.loads(self._ask("GET", f"/api/v1/messages?{urlencode(given)}"))

    def show(self, message_id: str, *, content: bool) -> Any:
        path = f"/api/v1/messages/{quote(message_id, safe='')}"
        return orjson.loads(self._ask("GET", f"{path}?content={str(content).lower()}"))

    def replay_message(self, message_id: str) -> Any:
        path = f"/api/v1/messages/{quote(message_id, safe='')}/replay"
        return orjson.loads(self._ask("POST", path))

    def replay(self, delivery: int) -> Any:
        return orjson.loads(self._ask("POST", f"/api/v1/deliveries/{delivery}/replay"))

    def cancel(self, delivery: int) -> Any:
        return orjson.loads(self._ask("POST", f"/api/v1/deliveries/{delivery}/cancel"))

    def replay_many(self, given: Mapping[str, str], *, dry_run: bool) -> Any:
        body = orjson.dumps({**given, "dry_run": dry_run})
        return orjson.loads(self._ask("POST", "/api/v1/replay", body, _SECONDS_OF_REPLAY))

    def switch(self, channel: str, order: Literal["stop", "start"], reason: str = "") -> Any:
        """Returns when the channel stopped in the process that was asked: after its sends under
        way have ended.  The others follow in a moment."""
        path = f"/api/v1/channels/{quote(channel, safe='')}/{order}"
        body = orjson.dumps({"reason": reason}) if reason else None
        return orjson.loads(self._ask("POST", path, body, timeout=60.0))

    def reload(self) -> Any:
        return orjson.loads(self._ask("POST", "/api/v1/reload", timeout=60.0))

    def _ask(
        self, method: str, path: str, body: bytes | None = None, timeout: float = _SECONDS
    ) -> bytes:
        try:
            access = read_access(self._data)
        except OSError as error:
            raise _unreachable(
                f"the control token in {self._data} cannot be read",
                "run the command as the user the engine runs as",
            ) from error
        if access is None:
            raise _unreachable(
                f"no engine runs on {self._data}",
                "start it with carebus run, or name its directory with --data",
            )
        address = urlsplit(access.url)
        connection = http.client.HTTPConnection(
            address.hostname or "127.0.0.1", address.port, timeout=timeout
        )
        try:
            connection.request(
                method,
                path,
                body,
                {
                    "Authorization": f"Bearer {access.token}",
                    "Carebus-Actor": quote(self._actor),
                    "Content-Type": "application/json",
                },
            )
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(
                f"the engine on {self._data} does not answer at {access.url}",
                "see whether it still runs, and start it again with carebus run",
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            raise _refusal(response.status, content)
        return content


def _refusal(status: int, content: bytes) -> Refusal:
    try:
        body = orjson.loads(content)
        return Refusal(status, body["code"], body["title"], body["help"], body)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return Refusal(status, "P022", f"the engine answered {status}", "see the engine's log", {})


def _unreachable(summary: str, help: str) -> Unreachable:
    return Unreachable(ErrorInfo("P024", summary, Stage.STARTING, help=help))
