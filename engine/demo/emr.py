"""The simulated EMR: a FHIR endpoint that keeps what it is given, in memory and bounded.

It takes transaction Bundles and single creates or updates.  A resource is known by its url, and a
search (a conditional url, ``ifNoneExist``) finds it by its identifiers: a second copy updates the
first, so a repeated delivery changes nothing.  The answer is a transaction-response, as a FHIR
server gives it.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

import orjson
from aiohttp import web

from engine.demo.samples import control_id_in

CONTENT_TYPE = "application/fhir+json"
_LARGEST_BODY = 16 * 1024 * 1024


@dataclass(slots=True)
class Kept:
    """One resource: its type and id here, and how often it was written."""

    location: str
    version: int
    names: list[str]
    """What it is found by."""


class Emr:
    """The endpoint on ``http://127.0.0.1:PORT/fhir``.

    ``arrived`` is called on the event loop with the control id of each Bundle taken (None when it
    names none).  ``limit`` is how many resources are kept; the oldest go first.
    """

    def __init__(
        self, port: int, arrived: Callable[[str | None], None], *, limit: int = 20_000
    ) -> None:
        self.requests = 0
        self.port = port
        self._arrived = arrived
        self._limit = limit
        self._resources: OrderedDict[str, Kept] = OrderedDict()
        self._named: dict[str, Kept] = {}
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None

    @property
    def resources(self) -> int:
        """How many different resources it holds now."""
        return len(self._resources)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/fhir", self._answer)
        application.router.add_route("*", "/fhir/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info.get("path", "")
        if request.method == "GET" and path == "metadata":
            return _json(
                HTTPStatus.OK,
                {
                    "resourceType": "CapabilityStatement",
                    "status": "active",
                    "date": "2026-03-01",
                    "kind": "instance",
                    "fhirVersion": "4.0.1",
                    "format": ["json"],
                },
            )
        if request.method not in ("POST", "PUT"):
            return _outcome(HTTPStatus.METHOD_NOT_ALLOWED, "not-supported")
        body = await request.read()
        self.requests += 1
        try:
            resource = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _outcome(HTTPStatus.BAD_REQUEST, "structure")
        if not isinstance(resource, dict) or "resourceType" not in resource:
            return _outcome(HTTPStatus.BAD_REQUEST, "structure")
        if path in ("", "Bundle") and resource["resourceType"] == "Bundle":
            answer = self._transaction(resource)
            if answer is None:
                return _outcome(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid")
            status = HTTPStatus.OK
        else:
            kept = self._keep(resource, request.method, str(request.rel_url.relative()))
            status = HTTPStatus.CREATED if kept.version == 1 else HTTPStatus.OK
            answer = {"resourceType": resource["resourceType"], "id": kept.location.split("/")[1]}
        self._arrived(control_id_in(body))
        return _json(status, answer)

    def _transaction(self, bundle: Mapping[str, Any]) -> dict[str, Any] | None:
        """The transaction-response, or None when the Bundle is no transaction or batch."""
        if bundle.get("type") not in ("transaction", "batch"):
            return None
        entries = []
        for entry in bundle.get("entry", ()):
            request = entry.get("request", {})
            resource = entry.get("resource")
            if not isinstance(resource, dict) or "method" not in request:
                return None
            asked = request.get("ifNoneExist") or request.get("url", "")
            kept = self._keep(resource, request["method"], asked)
            entries.append(
                {
                    "response": {
                        "status": "201 Created" if kept.version == 1 else "200 OK",
                        "location": f"{kept.location}/_history/{kept.version}",
                        "etag": f'W/"{kept.version}"',
                    }
                }
            )
        return {
            "resourceType": "Bundle",
            "type": f"{bundle['type']}-response",
            "entry": entries,
        }

    def _keep(self, resource: Mapping[str, Any], method: str, asked: str) -> Kept:
        kind = str(resource["resourceType"])
        searches = [f"{kind}?{search}" for search in _searches(resource)]
        name = _name(kind, method, asked) or next(iter(searches), "")
        kept = self._named.get(name)
        if kept is None:
            kept = Kept(f"{kind}/{next(self._numbers)}", 0, [])
            self._resources[kept.location] = kept
            if len(self._resources) > self._limit:
                _, oldest = self._resources.popitem(last=False)
                for old in oldest.names:
                    del self._named[old]
        for new in filter(None, (name, *searches)):
            if self._named.setdefault(new, kept) is kept and new not in kept.names:
                kept.names.append(new)
        kept.version += 1
        return kept


def _name(kind: str, method: str, asked: str) -> str:
    """The url of an update, or the search that a create or update depends on."""
    if "=" in asked:
        return f"{kind}?{asked.rpartition('?')[2]}"
    return asked if method == "PUT" and "/" in asked else ""


def _searches(resource: Mapping[str, Any]) -> Iterator[str]:
    """The searches that find it by an identifier."""
    given = resource.get("identifier")
    for identifier in given if isinstance(given, list) else [given]:
        if isinstance(identifier, dict) and "value" in identifier:
            token = f"{identifier.get('system', '')}|{identifier['value']}"
            yield f"identifier={quote(token, safe='~')}"


def _json(status: HTTPStatus, value: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type=CONTENT_TYPE)


def _outcome(status: HTTPStatus, code: str) -> web.Response:
    return _json(
        status,
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]},
    )
