"""One channel file, checked and compiled, without looking at any other file but tls.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel

from engine.config.channel_file import (
    AlertKeys,
    ChannelKeys,
    InboundKeys,
    KeepKeys,
    LimitKeys,
    OutboundKeys,
    RetryKeys,
    ValidateKeys,
)
from engine.config.expressions import compile_path
from engine.config.files import File
from engine.config.index import DEFAULT_INDEX
from engine.config.model import (
    Alerts,
    Channel,
    DuplicateRule,
    Keep,
    Ordering,
    RetryPolicy,
    Validation,
)
from engine.config.references import References
from engine.config.tls import TlsProfiles
from engine.config.validation import validate
from engine.config.versions import content_version
from engine.contract import ConnectorSpec, Format, Limits, Role
from engine.formats import FORMATS
from engine.formats.delimited import Layout
from engine.formats.hl7v2.grouping import Structure
from engine.formats.hl7v2.structure import StructureError
from engine.formats.hl7v2.structure_table import read_structures
from engine.formats.validators import NoValidator, validator
from engine.mapping import Expression, Function
from engine.mapping.layouts import read_layout
from engine.syntax import Diagnostics, Position, Scalar, Sequence
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean
from engine.syntax.typed import mapping_of

_OTHER_DIRECTION: Final = {
    "inbound": frozenset(OutboundKeys.model_fields) - frozenset(InboundKeys.model_fields),
    "outbound": frozenset(InboundKeys.model_fields) - frozenset(OutboundKeys.model_fields),
}
_LANES: Final = 4
_INSTEAD: Final = {
    "keep": "write it in the inbound channels: what is sent is kept as long as its message",
}
_STRUCTURES_HELP: Final = "ORU_R01: MSH {PATIENT_RESULT: [PATIENT: PID] {ORDER_OBSERVATION: OBR}}"
_SHORTEST_RETRY: Final = timedelta(milliseconds=10)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a channel file is checked against."""

    connectors: Mapping[str, ConnectorSpec]
    tls: TlsProfiles
    references: References
    functions: Mapping[str, Function]
    diagnostics: Diagnostics
    structures: Mapping[str, str] = field(default_factory=dict)
    """The project's files of message structures: path → text."""


def compile_channel(file: File, around: Surroundings) -> Channel | None:
    """The channel as far as it can be told, or None; each shortcoming has a diagnostic.

    ``ordering.key`` stays a name until the routes are known: only they say which inbound channels
    it is about.
    """
    root = mapping_of(file.node, around.diagnostics)
    if root is None:
        return None
    return _Compiler(file, root, around).compile()


class _Compiler:
    def __init__(self, file: File, root: MappingNode, around: Surroundings) -> None:
        self._file = file
        self._root = root
        self._around = around
        self._diagnostics = around.diagnostics
        self._layout: Layout | None = None

    def compile(self) -> Channel | None:
        keys = self._read_keys()
        found = self._role()
        format = self._format()
        self._check_charset()
        self._check_timezone()
        structures, structures_version = self._structures()
        settings = self._settings(found[1]) if found is not None else None
        if self._text("direction") == "inbound" and "layout" in self._root:
            self._layout = read_layout(
                self._root.get("layout"), self._text("format"), self._diagnostics
            )
        index = self._index(format) if format is not None else {}
        duplicate_key = self._duplicate_key(format) if format is not None else ()
        if keys is None or found is None or format is None or settings is None:
            return None
        channel = Channel(
            name=self._file.name,
            system=keys.system,
            direction=keys.direction,
            spec=found[0],
            role=found[1],
            settings=settings,
            format=format,
            version=content_version(self._root, *structures_version),
            location=str(self._root.position),
            charset=keys.charset,
            timezone=keys.timezone,
            alerts=_alerts(keys.alerts),
        )
        channel = self._validated(channel, keys)
        if isinstance(keys, InboundKeys):
            rule = keys.duplicates
            channel = replace(
                channel,
                acknowledge=keys.acknowledge,
                duplicates=DuplicateRule(duplicate_key, rule.within) if rule else None,
                unrouted=keys.unrouted,
                limits=_limits(keys.limits),
                keep=_keep(keys.keep),
                index=index,
                structures=structures,
                layout=self._layout,
            )
        elif isinstance(keys, OutboundKeys):
            channel = self._outbound(channel, keys)
        return channel

    def _read_keys(self) -> ChannelKeys | None:
        model: type[InboundKeys] | type[OutboundKeys] = InboundKeys
        direction = self._text("direction")
        if direction == "outbound":
            model = OutboundKeys
        without = ["settings"]
        for key, _ in self._root.entries:
            if direction in _OTHER_DIRECTION and key.text in _OTHER_DIRECTION[direction]:
                other = "inbound" if direction == "outbound" else "outbound"
                self._diagnostics.at(
                    "C105",
                    key,
                    f"'{key.text}' is a key of {other} channels",
                    help=_INSTEAD.get(key.text, "delete it"),
                )
                without.append(key.text)
        if direction is None or direction not in _OTHER_DIRECTION:
            # Which keys belong here is not known: judge only those that both directions have.
            common = ChannelKeys.model_fields
            known = frozenset(InboundKeys.model_fields) | frozenset(OutboundKeys.model_fields)
            without += [key for key in known if key not in common]
            validate(ChannelKeys, self._root, self._diagnostics, self._references, without=without)
            return None
        return validate(model, self._root, self._diagnostics, self._references, without=without)

    @property
    def _references(self) -> References:
        return self._around.references

    def _text(self, key: str) -> str | None:
        node = self._root.get(key)
        return node.text if isinstance(node, Scalar) and node.text else None

    def _role(self) -> tuple[ConnectorSpec, Role] | None:
        name, direction = self._text("connector"), self._text("direction")
        node = self._root.get("connector")
        if name is None or node is None:
            return None
        spec = self._around.connectors.get(name)
        if spec is None:
            self._diagnostics.at(
                "C120",
                node,
                f"unknown connector '{name}'",
                help=did_you_mean(name, self._around.connectors),
            )
            return None
        if direction not in ("inbound", "outbound"):
            return None
        role = spec.source if direction == "inbound" else spec.destination
        if role is None:
            verb = "receive" if direction == "inbound" else "send"
            self._diagnostics.at("C121", node, f"the connector {name} cannot {verb}")
            return None
        return spec, role

    def _format(self) -> Format | None:
        name, node = self._text("format"), self._root.get("format")
        if name is None or node is None:
            return None
        format = FORMATS.get(name)
        if format is None:
            help = did_you_mean(name, FORMATS)
            self._diagnostics.at("C122", node, f"unknown format '{name}'", help=help)
        return format

    def _check_charset(self) -> None:
        name, node = self._text("charset"), self._root.get("charset")
        if name is None or node is None:
            return
        try:
            "".encode(name)
        except (LookupError, ValueError):  # not a charset, or none for text
            self._diagnostics.at(
                "C123", node, "unknown charset", help="such as utf-8, gb18030, iso-8859-1"
            )

    def _check_timezone(self) -> None:
        name, node = self._text("timezone"), self._root.get("timezone")
        if name is None or node is None:
            return
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            help = did_you_mean(name, available_timezones()) or "such as Asia/Shanghai"
            self._diagnostics.at("C124", node, "unknown time zone", help=help)

    def _structures(self) -> tuple[Mapping[str, Structure], tuple[str, ...]]:
        """The channel's own message structures by name, and their text."""
        name, node = self._text("structures"), self._root.get("structures")
        if name is None or node is None or self._text("direction") != "inbound":
            return {}, ()
        text = self._around.structures.get(name)
        if text is None:
            self._diagnostics.at(
                "C129",
                node,
                f"there is no file {name}",
                help=did_you_mean(name, self._around.structures)
                or "it is a text in structures/, such as structures/our-lab.txt",
            )
            return {}, ()
        if self._text("format") != "hl7v2":
            self._diagnostics.at("C129", node, "message structures are HL7 v2's")
        try:
            return read_structures(text), (text,)
        except StructureError as error:
            self._diagnostics.at("C129", node, f"{name}: {error}", help=_STRUCTURES_HELP)
            return {}, ()

    def _settings(self, role: Role) -> BaseModel | None:
        node, key = self._root.get("settings"), self._root.key("settings")
        if node is None or (isinstance(node, Scalar) and not node.text):
            fields = role.settings.model_fields.items()
            required = [name for name, field in fields if field.is_required()]
            if required:
                self._diagnostics.at(
                    "C102",
                    key or self._root,
                    "the key 'settings' is missing" if key is None else "settings: is empty",
                    help=f"it needs {', '.join(required)}",
                )
                return None
            node = MappingNode((), self._root.position)
        keys = mapping_of(node, self._diagnostics)
        if keys is None:
            return None
        at = key.position if key is not None else self._root.position
        settings = validate(role.settings, keys, self._diagnostics, self._references, at=at)
        tls = keys.get("tls")
        if tls is not None:
            self._around.tls.check(tls)
        return settings

    def _index(self, format: Format) -> dict[str, Expression]:
        node = self._root.get("index")
        if self._text("direction") != "inbound":
            return {}
        if node is None:
            start = Position(self._file.path, 1, 1)
            given = [
                (name, Scalar(text, True, start))
                for name, text in DEFAULT_INDEX.get(format.name, {}).items()
            ]
        else:
            entries = node.entries if isinstance(node, MappingNode) else ()
            given = [(key.text, value) for key, value in entries if isinstance(value, Scalar)]
        compiled = ((name, self._expression(value, format)) for name, value in given)
        return {name: one for name, one in compiled if one is not None}

    def _duplicate_key(self, format: Format) -> tuple[Expression, ...]:
        node = self._root.get("duplicates")
        paths = node.get("key") if isinstance(node, MappingNode) else None
        items = paths.items if isinstance(paths, Sequence) else ()
        compiled = [self._expression(item, format) for item in items if isinstance(item, Scalar)]
        return tuple(one for one in compiled if one is not None)

    def _expression(self, node: Scalar, format: Format) -> Expression | None:
        return compile_path(
            node,
            format.name,
            functions=self._around.functions,
            diagnostics=self._diagnostics,
            layout=self._layout,
        )

    def _validated(self, channel: Channel, keys: ChannelKeys) -> Channel:
        """With its `Validation`; the schema's content counts for the channel's version."""
        given = keys.validation
        wanted = ValidateKeys(level=given) if isinstance(given, str) else given
        if wanted.level == "off":
            return channel
        node = self._root.get("validate") or self._root
        schema: Path | None = None
        if wanted.schema_ is not None:
            schema = self._references.root / wanted.schema_
            if isinstance(node, MappingNode):
                node = node.get("schema") or node
        try:
            made = validator(
                channel.format.name,
                complete=wanted.with_ == "complete",
                version=wanted.version,
                schema=schema,
            )
        except NoValidator as error:
            self._diagnostics.at("C138", node, str(error))
            return channel
        content = schema.read_bytes().hex() if schema is not None else ""
        return replace(
            channel,
            validation=Validation(wanted.level, made),
            version=content_version(self._root, content) if content else channel.version,
        )

    def _outbound(self, channel: Channel, keys: OutboundKeys) -> Channel:
        most = channel.role.capabilities.max_in_flight
        ordering = Ordering()
        if keys.ordering == "none":
            ordering = Ordering("none", concurrency=keys.concurrency or 1)
        elif not isinstance(keys.ordering, str):
            lanes = keys.ordering.lanes or min(_LANES, most)
            ordering = Ordering("keyed", key=keys.ordering.key, lanes=lanes)
        concurrency = self._root.key("concurrency")
        if concurrency is not None and ordering.kind != "none":
            self._diagnostics.at(
                "C133", concurrency, "concurrency needs 'ordering: none'", help="delete it"
            )
        at_once = max(ordering.lanes, ordering.concurrency)
        if at_once > most:
            node = self._root.get("ordering")
            lanes_node = node.get("lanes") if isinstance(node, MappingNode) else None
            self._diagnostics.at(
                "C136",
                lanes_node or self._root.get("concurrency") or node or self._root,
                f"{channel.spec.name} sends at most {most} at once, not {at_once}",
                help=f"write at most {most}",
            )
        return replace(
            channel,
            ordering=ordering,
            retry=self._retry(keys.retry),
            on_uncertain=keys.on_uncertain
            or ("retry" if channel.role.capabilities.deduplicates else "hold"),
        )

    def _retry(self, keys: RetryKeys) -> RetryPolicy:
        given = keys.model_dump(exclude_none=True)
        if given.get("give_up") == "never":
            given["give_up"] = None
        policy = replace(RetryPolicy(), **given)
        node = self._root.get("retry")
        problem: tuple[str, str] | None = None
        if policy.first < _SHORTEST_RETRY:
            problem = "first", "the first wait is at least 10ms"
        elif policy.max < policy.first:
            problem = "max" if "max" in given else "first", "the longest wait is below the first"
        elif policy.give_up is not None and policy.give_up < policy.first:
            problem = "give_up", "it gives up before the first wait is over"
        if problem is not None and isinstance(node, MappingNode):
            place = node.get(problem[0]) or node
            self._diagnostics.at("C131", place, problem[1])
        return policy


def _keep(keys: KeepKeys) -> Keep:
    return replace(Keep(), **keys.model_dump(exclude_none=True))


def _alerts(keys: AlertKeys) -> Alerts:
    return replace(Alerts(), **keys.model_dump(exclude_none=True))


def _limits(keys: LimitKeys) -> Limits:
    given: dict[str, Any] = keys.model_dump(exclude_none=True)
    return replace(Limits(), **given)
