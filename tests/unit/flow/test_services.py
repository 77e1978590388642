"""What the engine lends a connector."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract import ConfigError
from engine.flow.services import ChannelServices
from engine.security.tls import TlsSettings
from tests.unit.flow.hospital import Push, channel


@pytest.mark.parametrize("settings", ["internal", {"certificate": "tls/our.pem"}])
def test_tls_files_are_taken_from_the_projects_folder(tmp_path: Path, settings: object) -> None:
    profiles = {"internal": TlsSettings(certificate=Path("tls/our.pem"))}
    services = ChannelServices(channel("in", "inbound", Push()), profiles, tmp_path)
    with pytest.raises(ConfigError, match="TLS-FILE") as refused:
        services.tls(settings, server=True)
    assert str(tmp_path / "tls" / "our.pem") in refused.value.info.summary
