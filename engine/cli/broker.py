"""The broker that CAREBUS_BROKER_URL names."""

from __future__ import annotations

from pathlib import Path

from engine.broker.embedded import EmbeddedBroker
from engine.contract import Broker
from engine.security.tls import TlsSettings, client_context


def open_broker(url: str, root: Path) -> Broker:
    """Not yet open; ``root`` is the project's folder, from which certificates' paths are taken.

    Raises ConfigError.
    """
    if url == "embedded:":
        return EmbeddedBroker()
    # pika and what stands on it are loaded only where RabbitMQ is used.
    from engine.broker.rabbitmq.address import read_address
    from engine.broker.rabbitmq.broker import RabbitBroker

    address = read_address(url)
    if not address.tls:
        return RabbitBroker(address)
    settings = TlsSettings.model_validate(
        {
            "certificate": address.certificate,
            "key": address.key,
            "ca": address.ca,
            "verify_host": address.verify_host,
        }
    )
    return RabbitBroker(address, client_context(settings, root))
