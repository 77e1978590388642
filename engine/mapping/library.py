"""Finds what mappings import: other files of the mappings folder, and registered functions.

Files are read once for each `Library`; a reload makes a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from engine.mapping.functions import BUILT_IN
from engine.mapping.functions.signature import Function
from engine.mapping.headers import MappingHeader, read_header
from engine.mapping.mapfile import MapFile, read_file
from engine.mapping.tablefiles import with_table_files
from engine.syntax import Diagnostics, Node, decode_yaml, read_yaml

SHIPPED: Final = Path(__file__).parents[2] / "mappings"
"""The mappings that come with the engine: beside its package, in a checkout as in a wheel."""


class Library(Protocol):
    """What `compile_mapping` asks for."""

    @property
    def functions(self) -> Mapping[str, Function]: ...

    def load(self, name: str, diagnostics: Diagnostics) -> MapFile | None:
        """The imported file with what it extends; None when there is none of this name."""

    def source(self, name: str, diagnostics: Diagnostics) -> Node | None:
        """The YAML of a file as it is written; None when there is none of this name."""

    def names(self) -> tuple[str, ...]:
        """What can be imported, for "did you mean"."""

    def attachment(self, path: str) -> bytes | None:
        """A file below the mappings folder that is no mapping, such as a code table in CSV; None
        when there is none."""


class FolderLibrary:
    """A mappings folder: ``lib/datatypes`` is ``<root>/lib/datatypes.yaml``."""

    def __init__(
        self, root: Path, functions: Mapping[str, Function] = BUILT_IN, *, shown: str | None = None
    ) -> None:
        self._root = root
        self._shown = root.name if shown is None else shown
        self._functions = functions
        self._nodes: dict[str, tuple[Node | None, Diagnostics]] = {}
        self._files: dict[str, tuple[MapFile | None, Diagnostics]] = {}
        self.sources: dict[str, str] = {}
        """The text of each file read, by the name that diagnostics use."""

    @property
    def functions(self) -> Mapping[str, Function]:
        return self._functions

    def names(self) -> tuple[str, ...]:
        found = (
            path.relative_to(self._root).with_suffix("").as_posix()
            for path in sorted(self._root.rglob("*.yaml"))
            if not path.name.endswith(".test.yaml")
        )
        return tuple(found)

    def load(self, name: str, diagnostics: Diagnostics) -> MapFile | None:
        if name not in self._files:
            problems = Diagnostics()
            node = self.source(name, problems)
            found = None
            if node is not None:
                found = read_file(node, name, self, problems, only_imported=True)
            self._files[name] = found, problems
        file, problems = self._files[name]
        diagnostics.extend(problems)
        return file

    def source(self, name: str, diagnostics: Diagnostics) -> Node | None:
        if name not in self._nodes:
            self._nodes[name] = self._read(name)
        node, problems = self._nodes[name]
        diagnostics.extend(problems)
        return node

    def attachment(self, path: str) -> bytes | None:
        return attached(self._root, path)

    def headers(self) -> Iterator[MappingHeader]:
        """What each mapping of the folder takes and gives; a file that is no UTF-8 has none."""
        for name in self.names():
            path = self._root / f"{name}.yaml"
            found = read_header(path.read_text("utf-8", "replace"), name, self._file(name))
            if found is not None:
                yield found

    def _file(self, name: str) -> str:
        return f"{self._shown}/{name}.yaml" if self._shown else f"{name}.yaml"

    def _read(self, name: str) -> tuple[Node | None, Diagnostics]:
        problems = Diagnostics()
        parts = name.split("/")
        path = self._root.joinpath(*parts).with_suffix(".yaml")
        if not name or any(part in ("", ".", "..") for part in parts) or not path.is_file():
            return None, problems
        shown = self._file(name)
        text = decode_yaml(path.read_bytes(), shown, problems)
        if text is None:
            return None, problems
        self.sources[shown] = text
        node = read_yaml(text, shown, problems)
        return node and with_table_files(node, self.attachment, problems), problems


def attached(root: Path, path: str) -> bytes | None:
    """The file below ``root``; None when it is not there, or its path leads out."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    found = root.joinpath(*parts)
    return found.read_bytes() if found.is_file() else None


class EmptyLibrary:
    """No imports, only functions."""

    def __init__(self, functions: Mapping[str, Function] = BUILT_IN) -> None:
        self.functions = functions

    def load(self, name: str, diagnostics: Diagnostics) -> MapFile | None:
        return None

    def source(self, name: str, diagnostics: Diagnostics) -> Node | None:
        return None

    def names(self) -> tuple[str, ...]:
        return ()

    def attachment(self, path: str) -> bytes | None:
        return None
