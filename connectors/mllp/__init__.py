"""HL7 v2 over MLLP (Minimal Lower Layer Protocol), listening and sending, plain or over TLS.

Importing this module loads no protocol code: the factories do, when a channel needs them.
"""

from connectors.mllp.errors import ERRORS
from connectors.mllp.settings import MllpListenerSettings, MllpSenderSettings
from engine.contract import Capabilities, ConnectorSpec, Role, Stability

_LISTEN = """\
# HL7 v2 from the hospital information system, over TLS with client certificates
system: HIS
direction: inbound
connector: mllp
settings:
  host: 0.0.0.0
  port: 2575
  tls:
    certificate: certificates/engine.pem
    key: certificates/engine.key
    ca: certificates/hospital-ca.pem
    require_client_certificate: true
format: hl7v2
charset: gb18030
limits: {message: 16MiB, connections: 50, idle: 10m}
"""

_SEND = """\
# Results to the ward system; a person decides what to do when a reply is lost
system: Ward
direction: outbound
connector: mllp
settings: {host: 127.0.0.1, port: 2577, reply_timeout: 30s}
format: hl7v2
on_uncertain: hold
"""

_NOTES = """\
Framing is VT, message, FS, CR. A missing CR is tolerated, and so are a few bytes between frames.
0x1C inside of a message is content unless CR or VT follows it.

Listening: one message of a connection is in work at a time; while it waits, its peer waits. A
message above `limits.message` is read to its end without being kept and answered with AR. Without
an answer (the engine was stopped, the connection was lost) the sending system must send again.

Sending: one connection, kept open, one message in flight. A reply counts only when its MSA-2 is
the MSH-10 that was sent, or when it is negative and names none. AA and CA mean delivered; AE and
CE are tried again by the channel's `retry:`; AR and CR go to the dead letters. No reply, or one
that cannot be read, is an unknown outcome (`on_uncertain:`), and the connection is closed.

Enhanced mode (MSH-15 and MSH-16): CA, "safely stored", is taken for delivered. An application
acknowledgement that follows later on the same connection is not awaited; it is logged without its
content and dropped. Use a channel of its own when its content matters.
"""

SPEC = ConnectorSpec(
    name="mllp",
    summary="HL7 v2 over MLLP, listening and sending, plain or over TLS",
    stability=Stability.BETA,
    source=Role(
        MllpListenerSettings,
        "connectors.mllp.source:MllpSource",
        Capabilities(max_in_flight=50, ordered=True),
    ),
    destination=Role(
        MllpSenderSettings,
        "connectors.mllp.destination:MllpDestination",
        Capabilities(max_in_flight=1, ordered=True, replies=True),
    ),
    examples=(_LISTEN, _SEND),
    errors=ERRORS,
    notes=_NOTES,
)
