"""The project's files beside a backup: what a person wrote, and never a secret."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from engine.store.backup.records import FileFacts, private, sha256_of

FOLDERS: Final = ("channels", "mappings", "tables", "functions", "schemas")
SUFFIXES: Final = (".yaml", ".yml", ".py", ".csv", ".json", ".xsd", ".md")
"""Keys and certificates have others, and ``.env`` has none of them."""
NAME: Final = "project.tar.gz"


def keep_project(root: Path, folder: Path) -> FileFacts:
    """Write the files of the project in ``root`` into ``folder``.  Raises OSError."""
    path = folder / NAME
    count = raw = 0
    with private(path) as file:
        with (
            gzip.GzipFile(fileobj=file, mode="wb", filename="") as zipped,
            tarfile.open(fileobj=cast("IO[bytes]", zipped), mode="w") as tar,
        ):
            for one in _files(root):
                tar.add(one, str(one.relative_to(root)), recursive=False)
                count += 1
                raw += one.stat().st_size
        file.flush()
        os.fsync(file.fileno())
    digest, size = sha256_of(path)
    return FileFacts(NAME, count, size, raw, digest, ())


def _files(root: Path) -> Iterator[Path]:
    yield from (one for one in sorted(root.glob("*.yaml")) if one.is_file())
    for folder in FOLDERS:
        for one in sorted((root / folder).rglob("*")):
            hidden = any(part.startswith(".") for part in one.relative_to(root).parts)
            if one.suffix in SUFFIXES and one.is_file() and not one.is_symlink() and not hidden:
                yield one
