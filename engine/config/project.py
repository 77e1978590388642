"""What only the whole project shows: ports taken twice, channels nobody uses, keys that do not
meet, data that would travel in clear."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from engine.config.channel_file import INDEX_NAME
from engine.config.expressions import compile_path
from engine.config.files import File
from engine.config.model import Channel, Route
from engine.mapping import CompiledMapping, Function
from engine.mapping.headers import header_of
from engine.syntax import Diagnostics, Node, Scalar, Sequence
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean

_INDEX_NAME: Final = re.compile(INDEX_NAME)
_EVERY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104
_CLEAR_SCHEMES: Final = frozenset({"http", "ws", "ftp", "amqp", "mqtt"})


@dataclass(frozen=True, slots=True)
class ChannelFile:
    """A compiled channel with the file it came from, to point at its keys."""

    channel: Channel
    file: File

    def at(self, *keys: str) -> Node:
        """The value under these keys, or the innermost one there is."""
        node = self.file.node
        for key in keys:
            child = node.get(key) if isinstance(node, MappingNode) else None
            if child is None:
                break
            node = child
        return node


def resolve_ordering(
    channels: Iterable[ChannelFile],
    routes: Iterable[Route],
    functions: Mapping[str, Function],
    diagnostics: Diagnostics,
) -> dict[str, Channel]:
    """All channels by name; a keyed ordering's key is now an index key that every origin has, or a
    compiled path."""
    by_name = {one.channel.name: one.channel for one in channels}
    origins: dict[str, dict[str, Channel]] = {}
    for route in routes:
        for target in route.targets:
            origins.setdefault(target.channel, {}).update(
                (name, by_name[name]) for name in route.origins
            )
    for one in channels:
        channel = one.channel
        if channel.ordering.kind == "keyed":
            sources = origins.get(channel.name, {}).values()
            by_name[channel.name] = _with_key(one, tuple(sources), functions, diagnostics)
    return by_name


def _with_key(
    one: ChannelFile,
    sources: tuple[Channel, ...],
    functions: Mapping[str, Function],
    diagnostics: Diagnostics,
) -> Channel:
    channel, place = one.channel, one.at("ordering", "key")
    key = channel.ordering.key or ""
    if not sources or not isinstance(place, Scalar):
        return channel
    if _INDEX_NAME.match(key):
        for source in sources:
            if key not in source.index:
                diagnostics.at(
                    "C132",
                    place,
                    f"the channel '{source.name}' has no index key '{key}'",
                    help=did_you_mean(key, source.index) or f"write index: in {source.name}.yaml",
                )
        return channel
    formats = sorted({source.format.name for source in sources})
    if len(formats) > 1:
        diagnostics.at(
            "C132",
            place,
            f"a path reads one format, and messages come as {', '.join(formats)}",
            help="name an index key that every inbound channel has",
        )
        return channel
    if len({source.layout for source in sources}) > 1:
        diagnostics.at(
            "C132",
            place,
            "a path reads one layout of tables, and messages come with several",
            help="name an index key that every inbound channel has",
        )
        return channel
    expression = compile_path(
        place,
        formats[0],
        functions=functions,
        diagnostics=diagnostics,
        layout=sources[0].layout,
    )
    return replace(channel, ordering=replace(channel.ordering, key=None, key_expression=expression))


def check_project(
    channels: Iterable[ChannelFile],
    routes: Iterable[Route],
    mappings: Mapping[str, CompiledMapping],
    mapping_files: Iterable[File],
    diagnostics: Diagnostics,
) -> None:
    listeners: dict[int, list[tuple[str, ChannelFile]]] = {}
    for one in channels:
        if one.channel.direction == "inbound":
            _check_listener(one, listeners, diagnostics)
            _check_duplicates(one, diagnostics)
        else:
            _check_uncertain(one, diagnostics)
            _check_clear(one, diagnostics)
    if not diagnostics.has_errors:  # what is misspelled is not unused
        _report_unused(channels, routes, mappings, mapping_files, diagnostics)


def _report_unused(
    channels: Iterable[ChannelFile],
    routes: Iterable[Route],
    mappings: Mapping[str, CompiledMapping],
    mapping_files: Iterable[File],
    diagnostics: Diagnostics,
) -> None:
    used = {target.channel for route in routes for target in route.targets}
    used.update(origin for route in routes for origin in route.origins)
    for one in channels:
        if one.channel.name not in used:
            what = "it goes nowhere" if one.channel.direction == "inbound" else "it never sends"
            diagnostics.add(
                "C301",
                one.file.start,
                f"no route uses the channel '{one.channel.name}': {what}",
                help="name it in routes.yaml",
            )
    mapped = {id(target.mapping) for route in routes for target in route.targets}
    imported = {name for file in mapping_files for name in _imports(file.node)}
    collections = {_collection(name) for name in imported}
    for file in mapping_files:
        mapping = mappings.get(file.name)
        if mapping is None and not {file.name, _collection(file.name)} & (imported | collections):
            diagnostics.add("C302", file.start, f"no mapping imports '{file.name}'")
        elif (
            mapping is not None
            and id(mapping) not in mapped
            and file.name not in imported
            and not header_of(file.node, file.name).says_what_it_takes
        ):
            diagnostics.add("C302", file.start, f"no route uses the mapping '{file.name}'")


def _collection(name: str) -> str:
    """``lib/v2`` of ``lib/v2/segments/aig``: libraries that belong together, of which a project
    takes what it needs; the name itself where there is no such folder."""
    parts = name.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else name


def _imports(node: Node) -> tuple[str, ...]:
    """What a file builds on: its imports, and what it extends."""
    if not isinstance(node, MappingNode):
        return ()
    names = node.get("import")
    items = names.items if isinstance(names, Sequence) else (names,)
    return tuple(item.text for item in (*items, node.get("extends")) if isinstance(item, Scalar))


def _check_listener(
    one: ChannelFile,
    listeners: dict[int, list[tuple[str, ChannelFile]]],
    diagnostics: Diagnostics,
) -> None:
    """A source with ``host`` and ``port`` listens there; port 0 lets the system choose."""
    host = getattr(one.channel.settings, "host", None)
    port = getattr(one.channel.settings, "port", None)
    if not isinstance(host, str) or not isinstance(port, int) or port == 0:
        return
    for taken, other in listeners.setdefault(port, []):
        if taken == host or _EVERY_ADDRESS & {taken, host}:
            diagnostics.at(
                "C130",
                one.at("settings", "port"),
                f"port {port} is taken by the channel '{other.channel.name}'",
            )
            break
    listeners[port].append((host, one))


def _check_duplicates(one: ChannelFile, diagnostics: Diagnostics) -> None:
    channel = one.channel
    if channel.duplicates is not None and channel.role.capabilities.deduplicates:
        diagnostics.at(
            "C139",
            one.at("duplicates"),
            f"{channel.spec.name} tells copies apart by itself, and this rule would replace that",
            help="delete it; put the rule on the channel where the message first came in",
        )


def _check_uncertain(one: ChannelFile, diagnostics: Diagnostics) -> None:
    channel = one.channel
    if channel.on_uncertain == "retry" and not channel.role.capabilities.deduplicates:
        diagnostics.at(
            "C134",
            one.at("on_uncertain"),
            f"a message may be applied twice: {channel.spec.name} does not promise that its peer "
            "ignores a second copy",
            help="write hold; or, where the payload makes a second copy harmless, say so in a "
            "comment: # carebus: allow C134 REASON",
        )


def _check_clear(one: ChannelFile, diagnostics: Diagnostics) -> None:
    settings = one.channel.settings
    url, host = getattr(settings, "url", None), getattr(settings, "host", None)
    if isinstance(url, str):
        parts = urlsplit(url)
        clear = parts.scheme in _CLEAR_SCHEMES and not _is_this_machine(parts.hostname or "")
        place = one.at("settings", "url")
    else:
        clear = (
            isinstance(host, str)
            and "tls" in type(settings).model_fields
            and getattr(settings, "tls", None) is None
            and not _is_this_machine(host)
        )
        place = one.at("settings", "host")
    if clear:
        diagnostics.at(
            "C135",
            place,
            "patients' data would travel in clear to another machine",
            help="set tls: (or https); or say why not: # carebus: allow C135 REASON",
        )


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
