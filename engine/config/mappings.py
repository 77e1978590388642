"""The mappings of a project, compiled once, whether a route uses them or not."""

from __future__ import annotations

from collections.abc import Iterable

from engine.config.files import File
from engine.mapping import CompiledMapping
from engine.syntax import Diagnostics


def compile_mappings(files: Iterable[File], diagnostics: Diagnostics) -> dict[str, CompiledMapping]:
    raise NotImplementedError
