"""Routing a stored message again, with what is configured now.

For messages that no route wanted when they came: UNROUTED or FILTERED.  Pure.
"""

from __future__ import annotations

from engine.config.model import Configuration
from engine.contract import (
    ErrorInfo,
    IllegalTransition,
    MapContext,
    MappingError,
    Message,
    NewDelivery,
    Stage,
)
from engine.flow.routing import Router


def planned_again(message: Message, configuration: Configuration) -> tuple[NewDelivery, ...]:
    """Its deliveries, at least one.

    Raises FormatError, MappingError (a condition or an index key that cannot be evaluated), and
    IllegalTransition when its channel is gone or still no route wants it.
    """
    channel = configuration.channels.get(message.channel)
    if channel is None or channel.direction != "inbound":
        raise IllegalTransition(_NO_CHANNEL)
    document = channel.format.parse(message.payload, charset=channel.charset)
    context = MapContext(
        message.id,
        message.received_at,
        message.channel,
        timezone=channel.timezone,
        structures=channel.structures,
    )
    keys = {
        name: value
        for name, expression in channel.index.items()
        if (value := expression.text(document, context))
    }
    plan = Router(configuration, channel.name).plan(document, context, keys)
    if plan.deliveries:
        return plan.deliveries
    raise IllegalTransition(_UNWANTED) if plan.error is None else MappingError(plan.error)


_NO_CHANNEL = ErrorInfo(
    "FLOW-UNBOUND",
    "the channel that this message came by is no longer configured",
    Stage.ROUTING,
    help="configure it again under its old name, and replay the message",
)
_UNWANTED = ErrorInfo(
    "FLOW-UNWANTED",
    "still no route wants this message",
    Stage.ROUTING,
    help="carebus route FILE --from CHANNEL says why; mend routes.yaml, reload and replay again",
)
