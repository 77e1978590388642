"""What every broker says alike."""

from __future__ import annotations

from engine.contract import BrokerUnavailable, ErrorInfo, Stage, Unroutable


def undeclared(queue: str) -> Unroutable:
    """No queue has this name."""
    return Unroutable(
        ErrorInfo(
            "BROKER-UNROUTABLE",
            f"no queue '{queue}' is declared",
            Stage.ROUTING,
            help="declare the queue before publishing to it",
        )
    )


def closed() -> BrokerUnavailable:
    """For a consumer that still waits when its broker is closed."""
    return BrokerUnavailable(ErrorInfo("BROKER-CLOSED", "the broker is closed", Stage.SENDING))
