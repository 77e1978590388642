"""routes.yaml, checked and compiled against the channels and mappings of its project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.config.expressions import compile_path
from engine.config.files import File
from engine.config.model import Channel, Direction, Route, Target
from engine.config.references import References
from engine.config.route_file import (
    UNAVAILABLE_IN_ROUTE,
    UNAVAILABLE_IN_TARGET,
    RouteKeys,
    TargetKeys,
)
from engine.config.validation import validate
from engine.config.versions import content_version
from engine.formats.delimited import Layout
from engine.mapping import CompiledMapping, Expression, Function
from engine.mapping.program import converted
from engine.syntax import Diagnostics, Node, Scalar, Sequence
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean
from engine.syntax.typed import mapping_of, sequence_of


@dataclass(frozen=True, slots=True)
class Known:
    """What routes may name.  ``wrong_…`` are the names of files that have a diagnostic of their
    own, so that one mistake is reported once."""

    channels: Mapping[str, Channel]
    wrong_channels: frozenset[str]
    mappings: Mapping[str, CompiledMapping]
    wrong_mappings: frozenset[str]
    references: References
    functions: Mapping[str, Function]
    diagnostics: Diagnostics


def compile_routes(file: File, known: Known) -> tuple[Route, ...]:
    """The routes that could be read; each shortcoming has a diagnostic."""
    diagnostics = known.diagnostics
    root = mapping_of(file.node, diagnostics)
    if root is None:
        return ()
    for key, _ in root.entries:
        if key.text != "routes":
            diagnostics.at("C101", key, f"unknown key '{key.text}'", help="known: routes")
    node = root.get("routes")
    if node is None:
        diagnostics.at("C102", root, "the key 'routes' is missing", help="write 'routes:'")
        return ()
    items = sequence_of(node, diagnostics)
    if items is None:
        return ()
    if not items.items:
        diagnostics.at("C303", items, "there are no routes")
    routes: dict[str, Route] = {}
    for item in items:
        route = _RouteCompiler(item, known).compile()
        if route is None:
            continue
        if route.name in routes:
            place = item.get("name") if isinstance(item, MappingNode) else None
            diagnostics.at(
                "C201",
                place or item,
                f"there are two routes called '{route.name}'",
                help=f"the first is at {routes[route.name].location}",
            )
            continue
        routes[route.name] = route
    return tuple(routes.values())


class _RouteCompiler:
    def __init__(self, node: Node, known: Known) -> None:
        self._node = node
        self._known = known
        self._diagnostics = known.diagnostics
        self._layouts: dict[str, Layout | None] = {}

    def compile(self) -> Route | None:
        root = mapping_of(self._node, self._diagnostics)
        if root is None:
            return None
        unavailable = self._refuse(root, UNAVAILABLE_IN_ROUTE)
        targets = root.get("to")
        for target in targets.items if isinstance(targets, Sequence) else ():
            if isinstance(target, MappingNode):
                unavailable += self._refuse(target, UNAVAILABLE_IN_TARGET)
        if unavailable:
            return None
        keys = validate(RouteKeys, root, self._diagnostics, self._known.references)
        if keys is None:
            return None
        origins = self._origins(root)
        formats = tuple(dict.fromkeys(origin.format.name for origin in origins))
        format = self._format(root, formats)
        self._layouts = {origin.name: origin.layout for origin in origins}
        when = self._condition(root.get("when"), format)
        return Route(
            name=keys.name,
            origins=tuple(origin.name for origin in origins),
            when=when,
            targets=self._targets(root, keys, formats),
            version=content_version(root),
            location=str(root.position),
        )

    def _refuse(self, node: MappingNode, unavailable: Mapping[str, str]) -> int:
        found = [key for key, _ in node.entries if key.text in unavailable]
        for key in found:
            self._diagnostics.at(
                "C209",
                key,
                f"'{key.text}:' ({unavailable[key.text]}) is not available in this version",
                help=f"delete '{key.text}:'",
            )
        return len(found)

    def _origins(self, root: MappingNode) -> list[Channel]:
        node = root.get("from")
        items = node.items if isinstance(node, Sequence) else (node,)
        origins: dict[str, Channel] = {}
        for item in items:
            if not isinstance(item, Scalar):
                continue
            channel = self._channel(item, "inbound")
            if channel is None:
                continue
            if channel.name in origins:
                self._diagnostics.at("C211", item, f"'{channel.name}' is named twice")
            origins[channel.name] = channel
        return list(origins.values())

    def _channel(self, node: Scalar, direction: Direction) -> Channel | None:
        name = node.text
        channel = self._known.channels.get(name)
        if channel is None:
            if name not in self._known.wrong_channels:
                right = [
                    other.name
                    for other in self._known.channels.values()
                    if other.direction == direction
                ]
                self._diagnostics.at(
                    "C202",
                    node,
                    f"unknown channel '{name}'",
                    help=did_you_mean(name, right) or f"it would be channels/{name}.yaml",
                )
            return None
        if channel.direction != direction:
            role = "a message comes from" if direction == "inbound" else "a message goes to"
            self._diagnostics.at(
                "C203",
                node,
                f"'{name}' is an {channel.direction} channel",
                help=f"{role} an {direction} channel",
            )
            return None
        return channel

    def _format(self, root: MappingNode, formats: tuple[str, ...]) -> str | None:
        """The one format of the origins; None when there are several, and then nothing may read
        the message: it can only be passed on."""
        if len(formats) == 1:
            return formats[0]
        targets = root.get("to")
        parts = [root, *(targets.items if isinstance(targets, Sequence) else ())]
        reads = any(
            isinstance(part, MappingNode) and ("when" in part or "mapping" in part)
            for part in parts
        )
        if formats and reads:
            self._diagnostics.at(
                "C210",
                root.get("from") or root,
                f"these channels have different formats: {', '.join(formats)}",
                help="write one route for each format",
            )
        return None

    def _condition(self, node: Node | None, format: str | None) -> Expression | None:
        if not isinstance(node, Scalar) or format is None:
            return None
        layouts = set(self._layouts.values())
        if len(layouts) > 1:
            names = ", ".join(self._layouts)
            self._diagnostics.at(
                "C210",
                node,
                f"these channels have different layouts: {names}",
                help="write one route for each layout",
            )
            return None
        return compile_path(
            node,
            format,
            functions=self._known.functions,
            diagnostics=self._diagnostics,
            layout=layouts.pop() if layouts else None,
        )

    def _targets(
        self, root: MappingNode, keys: RouteKeys, formats: tuple[str, ...]
    ) -> tuple[Target, ...]:
        node = root.get("to")
        items = node.items if isinstance(node, Sequence) else ()
        targets: dict[str, Target] = {}
        for item, target_keys in zip(items, keys.to, strict=True):
            if not isinstance(item, MappingNode):
                continue
            target = self._target(item, target_keys, formats)
            if target is None:
                continue
            if target.name in targets:
                place = item.get("name") or item.get("channel") or item
                self._diagnostics.at(
                    "C206",
                    place,
                    f"two targets are called '{target.name}'",
                    help="give one of them a name:",
                )
            targets[target.name] = target
        return tuple(targets.values())

    def _target(
        self, item: MappingNode, keys: TargetKeys, formats: tuple[str, ...]
    ) -> Target | None:
        place = item.get("channel")
        channel = self._channel(place, "outbound") if isinstance(place, Scalar) else None
        mapping = self._mapping(item.get("mapping"))
        when = self._condition(item.get("when"), formats[0] if len(formats) == 1 else None)
        if channel is not None:
            unmapped = mapping is None
            for format in formats if unmapped or len(formats) == 1 else ():  # else C210 says it
                self._check_formats(item, format, mapping, channel)
        self._check_params(item, mapping, keys.params)
        if channel is None:
            return None
        return Target(keys.name or channel.name, channel.name, mapping, when, keys.params)

    def _mapping(self, node: Node | None) -> CompiledMapping | None:
        if not isinstance(node, Scalar):
            return None
        mapping = self._known.mappings.get(node.text)
        if mapping is None and node.text not in self._known.wrong_mappings:
            self._diagnostics.at(
                "C204",
                node,
                f"unknown mapping '{node.text}'",
                help=did_you_mean(node.text, self._known.mappings)
                or f"it would be mappings/{node.text}.yaml",
            )
        return mapping

    def _check_formats(
        self, item: MappingNode, format: str, mapping: CompiledMapping | None, channel: Channel
    ) -> None:
        target, place = channel.format.name, item.get("mapping")
        if mapping is None:
            # A mapping that is named and unknown was reported; raw takes any bytes.
            if place is None and target not in (format, "raw") and format != "raw":
                self._diagnostics.at(
                    "C205",
                    item.get("channel") or item,
                    f"'{channel.name}' wants {target}, and this message is {format}",
                    help="name a mapping:",
                )
            return
        place = place or item
        if mapping.source_format != format:
            self._diagnostics.at(
                "C205",
                place,
                f"this mapping reads {mapping.source_format}, and this message is {format}",
            )
        for name, layout in self._layouts.items():
            if layout is not None and not layout.reads_as(mapping.source_layout):
                self._diagnostics.at(
                    "C212",
                    place,
                    f"this mapping reads tables with another layout than '{name}' has",
                    help="say the same under layout: of the channel and from: of the mapping",
                )
        if target not in (mapping.target_format, "raw"):
            self._diagnostics.at(
                "C205",
                place,
                f"this mapping writes {mapping.target_format}, and '{channel.name}' wants {target}",
            )

    def _check_params(
        self, item: MappingNode, mapping: CompiledMapping | None, given: Mapping[str, Any]
    ) -> None:
        node = item.get("params")
        if mapping is None:
            if isinstance(node, MappingNode) and item.get("mapping") is None:
                key = item.key("params") or item
                self._diagnostics.at("C207", key, "params: needs a mapping:")
            return
        for key, value in node.entries if isinstance(node, MappingNode) else ():
            kind = mapping.params.get(key.text)
            if kind is not None and converted(given.get(key.text), kind) is None:
                self._diagnostics.at("C103", value, f"the mapping wants a {kind} here")
            if kind is None:
                self._diagnostics.at(
                    "C207",
                    key,
                    f"the mapping has no parameter '{key.text}'",
                    help=did_you_mean(key.text, mapping.params),
                )
        for name in mapping.params:
            if name not in given:
                self._diagnostics.at(
                    "C208",
                    item.get("mapping") or item,
                    f"the mapping's parameter '{name}' is missing",
                    help=f"write params: {{{name}: …}}",
                )
