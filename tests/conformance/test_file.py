"""The file connector, bound to the suites.  The peers are folders."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from connectors.file import SPEC
from connectors.file.settings import DestinationSettings, SourceSettings
from engine.contract import Destination, Outcome, Payload, Services, Source
from engine.testing.destinations import DestinationConformance
from engine.testing.harness import Gone, Received, Reply
from engine.testing.sources import SourceConformance

_TOLD = "a folder tells its writer nothing; where files go is tested in tests/integration"
_NONE = "nobody connects to a folder"


class FolderWriter:
    """Writes each file under another name first, as the harness's `ready: rename` asks for."""

    def __init__(self, folder: Path, numbers: itertools.count[int]) -> None:
        self._folder = folder
        self._numbers = numbers

    async def offer(self, body: bytes) -> None:
        await asyncio.to_thread(self._put, body)

    def _put(self, body: bytes) -> None:
        name = f"{next(self._numbers):08}.msg"
        part = self._folder / f"{name}.part"
        part.write_bytes(body)
        part.rename(self._folder / name)

    async def write(self, wire: bytes) -> None:
        raise NotImplementedError

    async def pour(self, size: int) -> None:
        await asyncio.to_thread(self._pour, size)

    def _pour(self, size: int) -> None:
        part = self._folder / "big.part"
        with part.open("wb") as file:
            for _ in range(size // 65536):
                file.write(b"x" * 65536)
        part.rename(self._folder / f"{next(self._numbers):08}.msg")

    async def answer(self) -> Outcome:
        raise Gone  # a folder never answers

    async def leave(self) -> None: ...


class FileSourceHarness:
    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {
        "answers": _TOLD,
        "connections": _NONE,
        "framing": "a file is a message",
        "malformed": "any file is a message",
    }
    secrets = ()
    tls = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def create(self, services: Services) -> Source:
        settings = SourceSettings.model_validate(
            {"directory": str(self._folder), "ready": "rename", "poll": "5ms"}
        )
        source: Source = SPEC.source.create(settings, services)
        return source

    def body(self, content: bytes) -> bytes:
        return content

    def wire(self, body: bytes) -> bytes:
        return body

    def malformed(self) -> Sequence[bytes]:
        return ()

    async def connect(self) -> FolderWriter:
        return FolderWriter(self._folder, self._numbers)


class TestFileSource(SourceConformance):
    harness = FileSourceHarness


class FolderReader:
    """The receiving system: what it finds in its folder, oldest first."""

    connections = 0
    peak = 0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._away = folder.with_name("away")

    @property
    def received(self) -> Sequence[Received]:
        files = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        # Files of one tick of the file system's clock have the same time: their names, which begin
        # with the time of acceptance, tell which was first.
        files.sort(key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [Received(path.read_bytes()) for path in files]

    def script(self, *replies: Reply) -> None: ...
    def release(self) -> None: ...

    async def listen(self) -> None:
        if self._away.exists():
            self._away.rename(self.folder)
        else:
            self.folder.mkdir()

    async def vanish(self) -> None:
        self.folder.rename(self._away)


class FileDestinationHarness:
    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {
        "answers": "a folder says nothing; faults of the disk are in tests/integration",
        "connections": _NONE,
        "retry_after": "a full disk does not say how long",
        "correlates": "a folder says nothing",
    }
    secrets = ()
    tls = None
    refusal = ""

    def __init__(self, folder: Path) -> None:
        self.peer = FolderReader(folder / "in")

    async def start(self) -> None:
        await self.peer.listen()

    async def stop(self) -> None: ...

    def create(self, services: Services) -> Destination:
        settings = DestinationSettings.model_validate(
            {"directory": str(self.peer.folder), "name": "{received:%H%M%S%f}-{content}.msg"}
        )
        destination: Destination = SPEC.destination.create(settings, services)
        return destination

    def payload(self, content: bytes) -> Payload:
        return Payload(content)


class TestFileDestination(DestinationConformance):
    harness = FileDestinationHarness
