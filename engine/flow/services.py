"""What the engine lends a connector: its channel's facts, a clock, a log, TLS contexts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel

from engine.config.model import Channel
from engine.contract import ChannelName, ConfigError, ErrorInfo, Limits, Stage
from engine.security.tls import TlsSettings, client_context, server_context


class ChannelServices:
    """Implements `engine.contract.Services` for one channel."""

    def __init__(
        self,
        channel: Channel,
        profiles: Mapping[str, BaseModel],
        root: Path = Path(),
        *,
        shares_port: bool = False,
        data: Path = Path("var"),
    ) -> None:
        self.channel = ChannelName(channel.name)
        self.charset = channel.charset
        self.limits: Limits = channel.limits
        self.shares_port = shares_port
        self.spool = data / "spool" / channel.name
        self.log = structlog.get_logger("carebus.connector").bind(channel=channel.name)
        self._profiles = profiles
        self._root = root

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tls(self, settings: Any, *, server: bool) -> ssl.SSLContext:
        if isinstance(settings, str):
            profile = self._profiles.get(settings)
            if profile is None:
                raise ConfigError(
                    ErrorInfo(
                        "TLS-PROFILE",
                        f"no TLS profile '{settings}'",
                        Stage.STARTING,
                        help="declare it under profiles: in tls.yaml",
                    )
                )
            settings = profile
        if not isinstance(settings, TlsSettings):
            settings = TlsSettings.model_validate(settings)
        make = server_context if server else client_context
        return make(settings, self._root)
