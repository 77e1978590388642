"""Where the broker is: what CAREBUS_BROKER_URL says.

``amqp://user:password@host:5672,other-host/vhost?prefix=carebus``, or ``amqps://`` for TLS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NoReturn
from urllib.parse import parse_qsl, unquote

from engine.contract import ConfigError, ErrorInfo, Stage

PORTS: Final[Mapping[str, int]] = {"amqp": 5672, "amqps": 5671}
OPTIONS: Final = ("prefix", "ca", "certificate", "key", "verify_host", "hold", "heartbeat")

_URL = re.compile(r"^(amqps?)://(?:([^@/?#]*)@)?([^/?#]+)(?:/([^?#]*))?(?:\?([^#]*))?$")
_HOST = re.compile(r"^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$")
_PREFIX = re.compile(r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$")


@dataclass(frozen=True, slots=True)
class Address:
    """``hosts`` are tried in turn.  Two engines that share queues share ``vhost`` and ``prefix``;
    two that have nothing to do with each other must differ in one of them.

    ``hold``: how long an envelope may stay unsettled before it is taken anew from the broker; well
    below the broker's ``consumer_timeout`` (30 minutes).  Paths are as written.
    """

    hosts: tuple[tuple[str, int], ...]
    vhost: str = "/"
    user: str = "guest"
    password: str = field(default="guest", repr=False)
    tls: bool = False
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify_host: bool = True
    prefix: str = "carebus"
    hold: timedelta = timedelta(minutes=10)
    heartbeat: int = 10  # seconds; a peer that is silent for two of them is gone


def read_address(url: str) -> Address:
    """Raises ConfigError (BROKER-URL), which never repeats the URL: it may hold a password."""
    match = _URL.match(url)
    if match is None:
        _wrong("it is not amqp://user:password@host:port/vhost")
    scheme, login, hosts, path, query = match.groups()
    user, password = "guest", "guest"
    if login is not None:
        name, _, secret = login.partition(":")
        user, password = unquote(name), unquote(secret)
    options = dict(parse_qsl(query or "", keep_blank_values=True))
    for option in options:
        if option not in OPTIONS:
            _wrong(f"there is no option '{option}'; known are {', '.join(OPTIONS)}")
    tls = scheme == "amqps"
    if not tls and options.keys() & {"ca", "certificate", "key", "verify_host"}:
        _wrong("certificates are for amqps:// only")
    prefix = options.get("prefix", "carebus")
    if not _PREFIX.match(prefix) or len(prefix) > 60:
        _wrong("prefix is lower-case letters and digits, with . _ - between")
    return Address(
        hosts=tuple(_host(one, PORTS[scheme]) for one in hosts.split(",")),
        vhost=unquote(path) if path else "/",
        user=user,
        password=password,
        tls=tls,
        ca=options.get("ca"),
        certificate=options.get("certificate"),
        key=options.get("key"),
        verify_host=_yes(options.get("verify_host", "yes")),
        prefix=prefix,
        hold=timedelta(seconds=_seconds(options.get("hold", "600"), "hold")),
        heartbeat=_seconds(options.get("heartbeat", "10"), "heartbeat"),
    )


def _host(text: str, port: int) -> tuple[str, int]:
    match = _HOST.match(text)
    if match is None or int(match[3] or 0) > 65535:
        _wrong("a host is not written as name, name:port or [IPv6]:port")
    return match[1] or match[2], int(match[3] or port)


def _seconds(text: str, option: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 86_400:
        _wrong(f"{option} is a number of seconds")
    return int(text)


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        _wrong("verify_host is yes or no")
    return text == "yes"


def _wrong(what: str) -> NoReturn:
    raise ConfigError(
        ErrorInfo(
            "BROKER-URL",
            f"CAREBUS_BROKER_URL cannot be used: {what}",
            Stage.STARTING,
            location="CAREBUS_BROKER_URL",
            help="write embedded: or amqp://user:password@host:port/vhost",
        )
    )
