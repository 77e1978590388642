"""Messages over HTTP: search, show, replay, cancel.

What shows or changes something a person should answer for is logged with its actor; the content
itself never is.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from engine.api import replays
from engine.api.engine import ControlledEngine
from engine.api.problem import Problem
from engine.api.queries import no_such_message, read_delivery_id, read_message_id, read_query
from engine.api.requests import actor_of, answer, body_of, flag, parameters
from engine.api.wire import (
    delivery_to_dict,
    error_to_dict,
    event_to_dict,
    message_to_dict,
    payload_to_dict,
)
from engine.contract import MessageId, MessageSummary, Query, UnknownMessage


class Messages:
    """Handlers; each may run concurrently, but only one replay of many at a time."""

    def __init__(self, engine: ControlledEngine) -> None:
        self._engine = engine
        self._log = structlog.get_logger("carebus.api")
        self._replaying = asyncio.Lock()

    async def search(self, request: Request) -> Response:
        query = read_query(parameters(request))
        found = await self._engine.store.search(query)
        full = len(found) == query.limit
        return answer(
            {
                "messages": [message_to_dict(message) for message in found],
                "next": found[-1].message_id if found and full else None,
            }
        )

    async def show(self, request: Request) -> Response:
        given = dict(parameters(request))
        content = flag(given, "content", False)
        message = await self._message(read_message_id(request.path_params["id"]))
        history = await self._engine.store.history(message.message_id, content=content)
        shown: dict[str, Any] = message_to_dict(message, keys=content)
        shown["history"] = [event_to_dict(event, content=content) for event in history]
        if content:
            self._log.info("content shown", message_id=message.message_id, actor=actor_of(request))
            try:
                loaded = await self._engine.store.load(message.message_id)
            except UnknownMessage:
                shown["content"] = None  # purged; its events are kept longer
            else:
                shown["content"] = payload_to_dict(loaded.payload)
                shown["attributes"] = dict(loaded.attributes)
        return answer(shown)

    async def replay(self, request: Request) -> Response:
        delivery, actor = read_delivery_id(request.path_params["id"]), actor_of(request)
        await self._engine.replay(delivery, actor=actor)
        self._log.info("delivery replayed", delivery=delivery, actor=actor)
        return answer({"delivery": delivery}, status=202)

    async def cancel(self, request: Request) -> Response:
        delivery, actor = read_delivery_id(request.path_params["id"]), actor_of(request)
        await self._engine.cancel(delivery, actor=actor)
        self._log.info("delivery cancelled", delivery=delivery, actor=actor)
        return answer({"delivery": delivery}, status=202)

    async def replay_all(self, request: Request) -> Response:
        actor = actor_of(request)
        message = await self._message(read_message_id(request.path_params["id"]))
        chosen = replays.replayable(message, Query())
        if not chosen:
            raise Problem(
                409,
                "P015",
                "no delivery of this message can be replayed",
                "only one that is sent, dead, cancelled or uncertain can, or a message that is"
                " unrouted or filtered",
            )
        return await self._replay(chosen, actor)

    async def replay_many(self, request: Request) -> Response:
        actor = actor_of(request)
        given = dict(await body_of(request))
        dry = flag(given, "dry_run", True)
        given.pop("dry_run", None)
        query = read_query(given)
        if self._replaying.locked():
            raise Problem(409, "P023", "another replay is running", "wait until it has ended")
        async with self._replaying:
            chosen = await replays.find(self._engine.store, query)
            if dry:
                return answer({"dry_run": True, "deliveries": [_found(one) for one in chosen]})
            return await self._replay(chosen, actor)

    async def _replay(self, chosen: Any, actor: str) -> Response:
        failed = await replays.replay(self._engine, chosen, actor=actor)
        self._log.info(
            "deliveries replayed", count=len(chosen) - len(failed), failed=len(failed), actor=actor
        )
        refused = {id(one.found) for one in failed}
        return answer(
            {
                "dry_run": False,
                "deliveries": [_found(one) for one in chosen if id(one) not in refused],
                "failed": [
                    {**_found(one.found), "error": error_to_dict(one.error.info)} for one in failed
                ],
            },
            status=202,
        )

    async def _message(self, message_id: MessageId) -> MessageSummary:
        found = await self._engine.store.search(Query(message_id=message_id, limit=1))
        if not found:
            raise no_such_message()
        return found[0]


def _found(one: replays.Found) -> dict[str, Any]:
    """A delivery; or, with ``delivery`` null, a message that is routed again."""
    message = one.message
    if one.delivery is not None:
        return {"message_id": message.message_id, **delivery_to_dict(one.delivery)}
    return {
        "message_id": message.message_id,
        "delivery": None,
        "route": "",
        "target": "",
        "channel": message.channel,
        "state": message.state,
    }
