"""REST both ways: any body over HTTP/1.1, HL7 v2 over HTTP included.

A source answers its peer after the engine owns the message; a destination sends once.
"""

from __future__ import annotations

from connectors.http.settings import DestinationSettings
from connectors.webclient.errors import client_errors
from engine.contract import Capabilities, ConnectorSpec, Role, Stability

__all__ = ["SPEC"]

_OUTBOUND = """\
system: PORTAL
direction: outbound
connector: http
settings:
  url: https://portal.example/api/results
  auth: {bearer: "${env:PORTAL_TOKEN}"}
  timeout: 10s
format: json
ordering: {key: patient, lanes: 4}
"""

SPEC = ConnectorSpec(
    name="http",
    summary="REST: JSON, XML or HL7 v2 bodies over HTTP, as listener and as client.",
    stability=Stability.BETA,
    destination=Role(
        DestinationSettings,
        "connectors.http.destination:HttpDestination",
        Capabilities(max_in_flight=64, ordered=False, replies=True),
    ),
    examples=(_OUTBOUND,),
    errors=client_errors("HTTP"),
)
