"""How the command line finds a running engine: two files in its data directory.

``control-url`` says where it listens and ``control-token`` is what opens ``/api``.  Both are made
anew at each start, readable for their owner only; the token is all the authority there is.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = "control-token"  # noqa: S105 (a file name)
URL_FILE: Final = "control-url"


@dataclass(frozen=True, slots=True)
class Access:
    url: str
    token: str = field(repr=False)


def new_token() -> str:
    """256 random bits, in text."""
    return secrets.token_urlsafe(32)


@contextmanager
def announced(data: Path, access: Access) -> Iterator[None]:
    """``access`` can be found in ``data`` until the block ends.  Raises OSError.

    Only for the one engine that owns ``data``: another's announcement is overwritten.
    """
    _write(data / TOKEN_FILE, access.token)
    _write(data / URL_FILE, access.url)
    try:
        yield
    finally:
        (data / URL_FILE).unlink(missing_ok=True)


def read_access(data: Path) -> Access | None:
    """None when no engine was started on ``data``, or it has stopped.  After a crash the files
    are still there, and nobody listens.  Raises PermissionError for another user's engine."""
    try:
        url = (data / URL_FILE).read_text(encoding="ascii").strip()
        token = (data / TOKEN_FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return Access(url, token)


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(handle, "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.replace(fresh, path)
