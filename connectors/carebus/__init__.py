"""Engine to engine: one engine's deliveries are another one's messages, each exactly once.

Importing this module loads no protocol code: the factories do, when a channel needs them.
"""

from __future__ import annotations

from connectors.carebus.errors import ERRORS
from connectors.carebus.settings import LinkDestinationSettings, LinkSourceSettings
from engine.contract import Capabilities, ConnectorSpec, Role, Stability

__all__ = ["SPEC"]

_RECEIVE = """\
# At the regional engine: what hospital A sends
system: HospitalA
direction: inbound
connector: carebus
settings:
  host: 0.0.0.0
  port: 8610
  peers: [engine.hospital-a.example]
  tls:
    certificate: certificates/region.pem
    key: certificates/region.key
    ca: certificates/region-ca.pem
    require_client_certificate: true
format: hl7v2
"""

_SEND = """\
# At hospital A: to the regional engine
system: Region
direction: outbound
connector: carebus
settings:
  url: https://region.example:8610
  channel: hospital-a
  tls:
    certificate: certificates/hospital-a.pem
    key: certificates/hospital-a.key
    ca: certificates/region-ca.pem
format: hl7v2
ordering: {key: patient, lanes: 8}
retry: {first: 1s, max: 1m, give_up: never}
"""

_NOTES = """\
Both sides show certificates; only a loopback address may go without TLS. docs/links.md has the
wire, and how a message is followed from engine to engine.

Outbound. Each delivery has a name that is the same for every attempt, so an unknown outcome is sent
again (`on_uncertain` is retry here unless the channel says otherwise) and the other engine ignores
the second copy. Its id of the message is kept with the delivery. What the other engine rejects goes
to the dead letters; that it is down, busy, has no such channel, or does not let us in, is tried
again. Order is kept in each lane; lanes are what goes side by side over a slow line.

Inbound. The answer comes after the message is durable. The names of deliveries are remembered for
ever, about 100 bytes each. A message that was rejected is not remembered: after the mapping is
mended here, it may be sent again. The attributes `link.message`, `link.trace`, `link.engine`,
`link.channel` and `link.accepted_at` say where a message comes from; the search key `origin` is its
id at the first engine of its way.

A message above `part` goes in parts, which are durable one by one: after a break the transfer goes
on where it stopped, for as long as `spool_keep`.
"""

SPEC = ConnectorSpec(
    name="carebus",
    summary="Link to another Carebus engine: over mutual TLS, resumable, exactly once.",
    stability=Stability.BETA,
    source=Role(
        LinkSourceSettings,
        "connectors.carebus.source:LinkSource",
        Capabilities(max_in_flight=1000, deduplicates=True),
    ),
    destination=Role(
        LinkDestinationSettings,
        "connectors.carebus.destination:LinkDestination",
        Capabilities(max_in_flight=64, ordered=False, deduplicates=True),
    ),
    examples=(_RECEIVE, _SEND),
    errors=ERRORS,
    notes=_NOTES,
)
