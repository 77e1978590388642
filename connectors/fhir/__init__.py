"""FHIR R4 over REST, as a client: transactions, batches, messages, create, update, conditional.

Whether a second copy does harm is the payload's business: see the notes of the spec.
"""

from __future__ import annotations

from connectors.fhir.settings import FhirSettings
from connectors.webclient.errors import client_errors
from engine.contract import Capabilities, ConnectorSpec, ErrorCode, Role, Stability

__all__ = ["SPEC"]

_TRANSACTIONS = """\
system: EMR
direction: outbound
connector: fhir
settings:
  url: https://emr.example/fhir
  auth: {bearer: "${env:EMR_TOKEN}"}
  timeout: 10s
format: fhir
ordering: {key: patient, lanes: 4}
on_uncertain: retry
"""

_RESOURCES = """\
system: REGISTRY
direction: outbound
connector: fhir
settings:
  url: http://127.0.0.1:8090/fhir
  interaction: conditional_update
format: fhir
ordering: {key: patient, lanes: 4}
on_uncertain: retry
"""

SPEC = ConnectorSpec(
    name="fhir",
    summary="Sends FHIR resources, transactions, batches and messages to a FHIR server.",
    stability=Stability.BETA,
    destination=Role(
        FhirSettings,
        "connectors.fhir.destination:FhirDestination",
        Capabilities(max_in_flight=64, ordered=False, replies=True),
    ),
    examples=(_TRANSACTIONS, _RESOURCES),
    errors=(
        *client_errors("FHIR"),
        ErrorCode(
            "FHIR-PAYLOAD",
            "the payload is not what the interaction needs; nothing was sent",
            "let the mapping write resourceType, and the id or identifier that the channel's "
            "interaction uses",
        ),
        ErrorCode(
            "FHIR-ENTRIES",
            "the server took some entries of a batch and refused others",
            "look at the peer's answer in the message's history; a transaction is all or nothing",
        ),
    ),
    notes="""\
A Bundle of type transaction or batch is posted to the base; a Bundle of type message to
$process-message; any other resource goes where `interaction` says.

409 (a version conflict, which HAPI also answers when two transactions meet) is tried again; 412
(a condition that matches several resources) is final, and so is every other 4xx but 401, 408,
423, 425 and 429.  An OperationOutcome whose first issue is transient (lock-error, throttled,
timeout, no-store, transient) is tried again whatever the status.  The first issue's code becomes
the peer code; its diagnostics stay in the stored answer only.  3xx and 5xx are tried again.

`on_uncertain: retry` is right when the payload itself makes a second copy harmless: entries with
PUT, conditional update (PUT with a query) or ifNoneExist, or `interaction: update` or
`conditional_update`.  It is wrong for plain POST entries, where the server would create a second
resource.  The same holds for a batch, whose good entries are sent again with the failed ones.
""",
)
