"""Whether a channel's certificates are still the same: renewed ones keep their file names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from engine.security.tls import TlsSettings


def certificates_version(settings: BaseModel, profiles: Mapping[str, BaseModel], root: Path) -> str:
    """A hash of the contents of the files that ``settings.tls`` names, as they are on disk now;
    empty without TLS.  A file that cannot be read counts as one, and is told when it is used."""
    tls = _tls_of(getattr(settings, "tls", None), profiles)
    if tls is None:
        return ""
    digest = hashlib.sha256()
    for path in (tls.certificate, tls.key, tls.ca):
        digest.update(b"-" if path is None else hashlib.sha256(_content(root / path)).digest())
    return digest.hexdigest()[:16]


def _tls_of(given: object, profiles: Mapping[str, BaseModel]) -> TlsSettings | None:
    if isinstance(given, str):
        found = profiles.get(given)
        return found if isinstance(found, TlsSettings) else None
    if not given:
        return None
    try:
        return TlsSettings.model_validate(given)
    except ValidationError:  # lint has said so
        return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
