"""``tls.yaml``: TLS profiles that channels name, so that a certificate is written down once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from engine.config.files import File
from engine.config.references import References
from engine.config.validation import validate
from engine.contract import NAME_PATTERN
from engine.security.tls import TlsSettings
from engine.syntax import Diagnostics, Node, Scalar
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean
from engine.syntax.typed import mapping_of, text_of


class TlsFile(BaseModel):
    """tls.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profiles: dict[str, TlsSettings] = Field(description="Name → files and rules.")


class TlsProfiles:
    """The profiles of one project."""

    def __init__(self, file: File | None, diagnostics: Diagnostics, references: References) -> None:
        self._diagnostics = diagnostics
        self._references = references
        self._names: frozenset[str] = frozenset()
        self._settings: dict[str, BaseModel] = {}
        if file is not None:
            self._read(file)

    @property
    def settings(self) -> Mapping[str, BaseModel]:
        """Those that are right."""
        return MappingProxyType(self._settings)

    def check(self, node: Node) -> None:
        """A channel's ``tls:``: the name of a profile, or the same keys in place."""
        if isinstance(node, MappingNode):
            validate(TlsSettings, node, self._diagnostics, self._references)
            return
        name = text_of(node, self._diagnostics)
        if name and name not in self._names:
            help = did_you_mean(name, self._names) or "write profiles: in tls.yaml"
            self._diagnostics.at("C125", node, f"unknown TLS profile '{name}'", help=help)

    def _read(self, file: File) -> None:
        root = mapping_of(file.node, self._diagnostics)
        if root is None:
            return
        for key, _ in root.entries:
            if key.text != "profiles":
                self._diagnostics.at(
                    "C101", key, f"unknown key '{key.text}'", help="known: profiles"
                )
        node = root.get("profiles")
        if node is None:
            self._diagnostics.at("C102", root, "the key 'profiles' is missing")
            return
        profiles = mapping_of(node, self._diagnostics)
        if profiles is None:
            return
        self._names = frozenset(profiles.keys())
        for key, value in profiles.entries:
            self._profile(key, value)

    def _profile(self, key: Scalar, value: Node) -> None:
        if not NAME_PATTERN.match(key.text):
            self._diagnostics.at(
                "C103", key, "a profile's name has lower-case letters, digits, '-' and '_'"
            )
        keys = mapping_of(value, self._diagnostics)
        if keys is None:
            return
        made = validate(TlsSettings, keys, self._diagnostics, self._references, at=key.position)
        if made is not None:
            self._settings[key.text] = made
