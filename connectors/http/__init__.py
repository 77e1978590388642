"""REST both ways: any body over HTTP/1.1, HL7 v2 over HTTP included.

A source answers its peer after the engine owns the message; a destination sends once.
"""

from __future__ import annotations

from connectors.http.settings import DestinationSettings, SourceSettings
from connectors.webclient.errors import client_errors
from engine.contract import Capabilities, ConnectorSpec, ErrorCode, Role, Stability

__all__ = ["SPEC"]

_INBOUND = """\
system: PORTAL
direction: inbound
connector: http
settings:
  host: 0.0.0.0
  port: 8443
  path: /orders
  tls: hospital-internal
  auth: {api_key: {header: X-API-Key, value: "${env:PORTAL_KEY}"}}
  content_types: [application/json]
format: json
"""

_HL7 = """\
system: CLINIC
direction: inbound
connector: http
settings: {host: 127.0.0.1, port: 8080, path: /hl7, content_types: [application/hl7-v2]}
format: hl7v2
"""

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
    source=Role(
        SourceSettings,
        "connectors.http.source:HttpSource",
        Capabilities(max_in_flight=1000),
    ),
    destination=Role(
        DestinationSettings,
        "connectors.http.destination:HttpDestination",
        Capabilities(max_in_flight=64, ordered=False, replies=True),
    ),
    examples=(_INBOUND, _HL7, _OUTBOUND),
    errors=(
        *client_errors("HTTP"),
        ErrorCode(
            "HTTP-LISTEN",
            "the port could not be taken",
            "find out what listens there (ss -ltnp); two channels cannot share a port",
        ),
    ),
    notes="""\
Inbound. 202 with {"outcome", "message_id"} after the message is durable; a body of type
application/hl7-v2 is answered with an HL7 acknowledgement (200). 422 (problem+json with code and
help): never send it again. 503 with Retry-After: send it again. 401, 404, 405, 413, 415 and 431 as
usual, without reading the body. A peer that leaves before its answer has still delivered.

Outbound. 2xx is yes. 3xx (redirects are not followed), 401, 407, 408, 423, 425, 429 and 5xx but
501 and 505 are tried again, after Retry-After where the peer says so; every other status is final.
500 is tried again, because it says that the peer failed and not that the content is wrong: move it
to reject_statuses for a peer that means the content. A connection that breaks, or an answer that
does not come whole in time, is uncertain, also when a kept connection turned out to be closed by
the peer: keep keep_alive below the peer's own limit. An answer body over reply_limit is dropped.
A message that may have arrived before carries Carebus-Possible-Duplicate: true.
""",
)
