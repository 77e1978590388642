"""The simulated EMR: a FHIR endpoint that keeps what it is given, in memory and bounded.

It takes transaction Bundles and single creates or updates.  A resource is known by its conditional
url, its ``ifNoneExist`` or its first identifier: a second copy updates the first, so a repeated
delivery changes nothing.  The answer is a transaction-response, as a FHIR server gives it.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

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
        identity = f"{kind} {_identity(resource, method, asked) or next(self._numbers)}"
        kept = self._resources.get(identity)
        if kept is None:
            kept = self._resources[identity] = Kept(f"{kind}/{next(self._numbers)}", 0)
            if len(self._resources) > self._limit:
                self._resources.popitem(last=False)
        kept.version += 1
        return kept


def _identity(resource: Mapping[str, Any], method: str, asked: str) -> str:
    """What makes this resource the same one when it comes again; empty when nothing does."""
    if "=" in asked or (method == "PUT" and "/" in asked):
        return asked
    identifiers = resource.get("identifier")
    first = identifiers[0] if isinstance(identifiers, list) and identifiers else identifiers
    if isinstance(first, dict) and "value" in first:
        return f"{first.get('system', '')}|{first['value']}"
    return ""


def _json(status: HTTPStatus, value: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type=CONTENT_TYPE)


def _outcome(status: HTTPStatus, code: str) -> web.Response:
    return _json(
        status,
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]},
    )
