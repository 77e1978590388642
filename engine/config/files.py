"""The files of a project, read and parsed; nothing is judged but the text itself.

``routes.yaml``, ``channels/*.yaml``, ``mappings/**/*.yaml`` (tests beside them excepted) and
``tls.yaml`` when it is there, and the texts of ``structures/*.txt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.contract import NAME_PATTERN
from engine.syntax import Diagnostics, Node, Position, decode_yaml, read_yaml


@dataclass(frozen=True, slots=True)
class File:
    """``name`` is what the rest of the project calls it: ``his-adt``, ``lib/datatypes``."""

    name: str
    path: str  # relative to the root, with '/'
    node: Node

    @property
    def start(self) -> Position:
        return Position(self.path, 1, 1)


@dataclass(frozen=True, slots=True)
class Files:
    routes: File | None
    tls: File | None
    channels: tuple[File, ...]
    mappings: tuple[File, ...]
    channel_names: frozenset[str]  # also of files that could not be read
    unreadable_mappings: frozenset[str]
    sources: Mapping[str, str]
    structures: Mapping[str, str]  # path → text


def read_files(root: Path, diagnostics: Diagnostics) -> Files:
    """Every readable file; the others have a diagnostic."""
    reader = _Reader(root, diagnostics)
    if not (root / "routes.yaml").is_file():
        channels = root / "channels"
        help = "it has channels/ but no routes.yaml" if channels.is_dir() else None
        diagnostics.add(
            "C002", Position("routes.yaml", 1, 1), "there is no routes.yaml here", help=help
        )
    channel_paths = reader.find("channels", root.glob("channels/*"))
    mapping_paths = reader.find("mappings", root.glob("mappings/**/*"))
    mappings = reader.read_all(mapping_paths)
    return Files(
        routes=reader.read("routes", "routes.yaml"),
        tls=reader.read("tls", "tls.yaml"),
        channels=reader.read_all(channel_paths),
        mappings=mappings,
        channel_names=frozenset(channel_paths),
        unreadable_mappings=frozenset(mapping_paths) - {file.name for file in mappings},
        sources=reader.sources,
        structures=reader.texts(root.glob("structures/*.txt")),
    )


class _Reader:
    def __init__(self, root: Path, diagnostics: Diagnostics) -> None:
        self._root = root
        self._diagnostics = diagnostics
        self.sources: dict[str, str] = {}

    def find(self, folder: str, paths: Iterable[Path]) -> dict[str, str]:
        """Name → path of the YAML files below a folder, in the order of their names."""
        found: dict[str, str] = {}
        for path in sorted(paths):
            relative = path.relative_to(self._root)
            if any(part.startswith(".") for part in relative.parts) or not path.is_file():
                continue
            file = relative.as_posix()
            if path.suffix == ".yml":
                self._diagnostics.add(
                    "C003", Position(file, 1, 1), "this file is not read", help="name it *.yaml"
                )
            elif path.suffix == ".yaml" and not path.name.endswith(".test.yaml"):
                name = path.relative_to(self._root / folder).as_posix().removesuffix(".yaml")
                if all(NAME_PATTERN.match(part) for part in name.split("/")):
                    found[name] = file
                else:
                    self._diagnostics.add(
                        "C003",
                        Position(file, 1, 1),
                        f"'{path.name}' is no name",
                        help=f"rename it {_renamed(path)}",
                    )
        return found

    def texts(self, paths: Iterable[Path]) -> dict[str, str]:
        """Path → text; what cannot be read or is no UTF-8 is as if it were not there."""
        found: dict[str, str] = {}
        for path in sorted(paths):
            try:
                text = path.read_text("utf-8")
            except (OSError, ValueError):
                continue
            found[path.relative_to(self._root).as_posix()] = text
        return found

    def read_all(self, paths: Mapping[str, str]) -> tuple[File, ...]:
        read = (self.read(name, path) for name, path in paths.items())
        return tuple(file for file in read if file is not None)

    def read(self, name: str, path: str) -> File | None:
        try:
            body = (self._root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            self._diagnostics.add("C001", Position(path, 1, 1), f"reading failed: {reason}")
            return None
        text = decode_yaml(body, path, self._diagnostics)
        if text is None:
            return None
        self.sources[path] = text
        node = read_yaml(text, path, self._diagnostics)
        return None if node is None else File(name, path, node)


def _renamed(path: Path) -> str:
    letters = "".join(char if char.isalnum() and char.isascii() else "-" for char in path.stem)
    name = "-".join(part for part in letters.lower().split("-") if part)
    return f"{name if NAME_PATTERN.match(name) else 'to a lower-case name'}.yaml"
