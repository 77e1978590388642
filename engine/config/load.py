"""A project's directory into a `Configuration`: checked completely, or refused completely."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from engine.config.allowances import without_allowed
from engine.config.certificates import certificates_version
from engine.config.channels import Surroundings, compile_channel
from engine.config.files import File, Files, read_files
from engine.config.mappings import compile_mappings
from engine.config.model import Channel, Configuration, Loaded, Route
from engine.config.project import ChannelFile, check_project, resolve_ordering
from engine.config.references import References
from engine.config.routes import Known, compile_routes
from engine.config.tls import TlsProfiles
from engine.config.versions import content_version
from engine.contract import ConnectorSpec
from engine.mapping import BUILT_IN, CompiledMapping, Function, find_functions
from engine.mapping.library import attached
from engine.syntax import Diagnostic, Diagnostics, Position, read_yaml
from engine.syntax.render import without_secrets


def load(
    root: Path,
    *,
    connectors: Mapping[str, ConnectorSpec],
    environ: Mapping[str, str],
    functions: Mapping[str, Function] | None = None,
    notes: bool = False,
) -> Loaded:
    """Read, check and compile the project below ``root``.

    Never raises for bad input: everything that is wrong is in the diagnostics, in the order of
    files and lines, and with one error there is no configuration.  Without ``functions``, those
    of the installed packages are used.  With ``notes`` they include what is only worth a look.
    """
    collects = gc.isenabled()
    gc.disable()  # much is made, all of it stays: looking for garbage would double the time
    try:
        return _load(root, connectors, environ, functions, notes)
    finally:
        if collects:
            gc.enable()


def _load(
    root: Path,
    connectors: Mapping[str, ConnectorSpec],
    environ: Mapping[str, str],
    functions: Mapping[str, Function] | None,
    notes: bool,
) -> Loaded:
    diagnostics = Diagnostics()
    if functions is None:
        functions, problems = find_functions()
        for problem in problems:
            diagnostics.add("C128", Position("<functions>", 1, 1), problem)
    files = read_files(root, diagnostics)
    references = References(environ, root, diagnostics)
    tls = TlsProfiles(files.tls, diagnostics, references)
    around = Surroundings(connectors, tls, references, functions, diagnostics, files.structures)
    channels = _channels(files, around)
    mappings, wrong_mappings = compile_mappings(
        files.mappings,
        functions,
        diagnostics,
        partial(attached, root / "mappings"),
        notes=notes,
    )
    routes: tuple[Route, ...] = ()
    if files.routes is not None:
        right = {one.channel.name: one.channel for one in channels}
        known = Known(
            channels=right,
            wrong_channels=files.channel_names - right.keys(),
            mappings=mappings,
            wrong_mappings=wrong_mappings | files.unreadable_mappings,
            references=references,
            functions=functions,
            diagnostics=diagnostics,
        )
        routes = compile_routes(files.routes, known)
        check_project(channels, routes, mappings, files.mappings, diagnostics)
    by_name = {
        name: replace(
            channel, certificates=certificates_version(channel.settings, tls.settings, root)
        )
        for name, channel in resolve_ordering(channels, routes, functions, diagnostics).items()
    }
    found = without_allowed(diagnostics.items, files.sources)
    configuration = None
    if not diagnostics.has_errors:
        configuration = Configuration(
            root=root,
            channels=MappingProxyType(by_name),
            routes=routes,
            mappings=MappingProxyType(mappings),
            version=_version(files, by_name, mappings),
            tls=tls.settings,
        )
    return Loaded(configuration, found, without_secrets(files.sources, found))


def check_channel(
    name: str, text: str, *, connectors: Mapping[str, ConnectorSpec], environ: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """What is wrong with one channel's text by itself: for examples and documentation.

    References that ``environ`` lacks, files and TLS profiles are not looked for.
    """
    diagnostics = Diagnostics()
    path = f"channels/{name}.yaml"
    node = read_yaml(text, path, diagnostics)
    if node is not None:
        references = References(environ, Path(), diagnostics)
        tls = TlsProfiles(None, diagnostics, references)
        around = Surroundings(connectors, tls, references, BUILT_IN, diagnostics)
        compile_channel(File(name, path, node), around)
    elsewhere = {"C111", "C112", "C125", "C129"}
    return tuple(one for one in diagnostics.items if one.code not in elsewhere)


def _channels(files: Files, around: Surroundings) -> list[ChannelFile]:
    compiled = ((compile_channel(file, around), file) for file in files.channels)
    return [ChannelFile(channel, file) for channel, file in compiled if channel is not None]


def _version(
    files: Files, channels: Mapping[str, Channel], mappings: Mapping[str, CompiledMapping]
) -> str:
    parts = [f"{name}={channel.version}" for name, channel in sorted(channels.items())]
    parts += [f"{name}={mapping.version}" for name, mapping in sorted(mappings.items())]
    nodes = [file.node for file in (files.routes, files.tls) if file is not None]
    return content_version(*parts, *nodes)
