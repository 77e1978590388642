"""The library's front door: a message in one format becomes one in another.

    from pathlib import Path
    from engine.mapping import convert

    bundle = convert(Path("oru.hl7").read_bytes(), "fhir").body

`convert` is for one message, `Converter` for many: it reads a folder of mappings once and compiles
each mapping when the first message needs it.  Without a folder the mappings that come with the
engine are used.  Which one takes a message is `engine.mapping.catalogue`'s to say.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from engine.contract import ChannelName, Document, MapContext, MessageId, Payload
from engine.formats import FORMATS, detect
from engine.formats.errors import format_error
from engine.formats.hl7v2 import Hl7Message
from engine.formats.hl7v2.batch import is_batch, split_batch
from engine.formats.xml import XmlDocument
from engine.formats.xml.names import V3
from engine.mapping.accounting import Ledger, ledger_of
from engine.mapping.catalogue import Candidate, Catalogue, type_of
from engine.mapping.compiled import CompiledMapping, Expression
from engine.mapping.compiling import compile_expression, compile_mapping
from engine.mapping.failures import FunctionError, failed
from engine.mapping.functions import find_functions
from engine.mapping.functions.moments import read_moment
from engine.mapping.functions.signature import Function
from engine.mapping.library import SHIPPED, FolderLibrary
from engine.syntax import Diagnostic, Diagnostics, Severity

NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""``$now`` for a document that names no time of its own: the same file gives the same output."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document with the mapping that takes it and what the mapping may know besides."""

    document: Document = field(repr=False)
    mapping: CompiledMapping
    context: MapContext


def convert(
    payload: bytes | str | Payload,
    to: str,
    *,
    mapping: str | None = None,
    mappings: Path | None = None,
    format: str | None = None,
    charset: str | None = None,
    now: datetime | None = None,
    timezone: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Payload:
    """One message, HL7 v2, FHIR JSON or XML, as ``to``: fhir, hl7v2, cda, json ….

    ``mapping`` names the mapping, which otherwise the message's own type decides; ``mappings`` is
    their folder (default: those that come with the engine).  ``format`` and ``charset`` are for a
    payload that does not show its own.  ``now`` is ``$now`` (default: the message's own time,
    MSH-7), ``timezone`` that of times without one (default: UTC), ``params`` what the mapping
    asks for.  The same arguments always give the same bytes.

    Raises FormatError when the payload cannot be read, MappingError when no mapping takes it or
    the mapping cannot map it; neither holds a value of the message.
    """
    converter = _converter(mappings or SHIPPED)
    return converter.convert(
        payload,
        to,
        mapping=mapping,
        format=format,
        charset=charset,
        now=now,
        timezone=timezone,
        params=params,
    )


class Converter:
    """`convert` for many messages.  May be shared by threads; reads its folder when it is made.

    ``mappings`` is the folder, ``shown`` what errors call it.
    """

    def __init__(
        self,
        mappings: Path | None = None,
        *,
        functions: Mapping[str, Function] | None = None,
        shown: str | None = None,
    ) -> None:
        found = find_functions()[0] if functions is None else functions
        self._library = FolderLibrary(mappings or SHIPPED, found, shown=shown)
        self.catalogue = Catalogue(self._library.headers())
        self._compiled: dict[str, CompiledMapping | tuple[Diagnostic, ...]] = {}
        self._traced: dict[str, CompiledMapping] = {}
        self._tests: dict[str, Expression | None] = {}

    def convert(
        self,
        payload: bytes | str | Payload,
        to: str,
        *,
        mapping: str | None = None,
        format: str | None = None,
        charset: str | None = None,
        now: datetime | None = None,
        timezone: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Payload:
        """As the function `convert`."""
        ready = self.prepare(
            payload,
            to,
            mapping=mapping,
            format=format,
            charset=charset,
            now=now,
            timezone=timezone,
            params=params,
        )
        return ready.mapping.render(ready.document, ready.context)

    def prepare(
        self,
        payload: bytes | str | Payload,
        to: str,
        *,
        mapping: str | None = None,
        format: str | None = None,
        charset: str | None = None,
        now: datetime | None = None,
        timezone: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Prepared:
        """Everything but the mapping itself: what explaining and accounting begin with."""
        given = _payload(payload)
        name = format or detect(given.body)
        if mapping is not None:
            named = self.catalogue.headers.get(mapping)
            name = format or (self.catalogue.source(named).source if named else "") or name
        if name not in FORMATS:
            raise format_error("FORMAT-UNKNOWN", f"the payload is {name}, which no mapping reads")
        document = FORMATS[name].parse(given, charset=charset)
        context = MapContext(
            MessageId(str(uuid5(NAMESPACE_OID, sha256(given.body).hexdigest()))),
            now or time_of(document, timezone or "UTC") or NO_TIME,
            ChannelName(""),
            params or {},
            timezone,
        )
        chosen = mapping or self.choose(document, to, context)
        return Prepared(document, self.mapping(chosen), context)

    def choose(self, document: Document, to: str, context: MapContext) -> str:
        """The name of the mapping that takes a document.  Raises MappingError (R410, R411)."""
        return self.catalogue.choose(
            type_of(document),
            to,
            lambda candidate: self._holds(candidate, document, context),
        )

    def mapping(self, name: str) -> CompiledMapping:
        """By its name, compiled once.  Raises MappingError: R410 when there is none, R412 when it
        has errors."""
        if name not in self._compiled:
            collects = gc.isenabled()
            gc.disable()  # much is made, all of it stays
            try:
                self._compiled[name] = self._compile(name)
            finally:
                if collects:
                    gc.enable()
        found = self._compiled[name]
        if isinstance(found, CompiledMapping):
            return found
        first = next(one for one in found if one.severity is Severity.ERROR)
        raise failed(
            "R412",
            str(first.position),
            f"{first.code}: {first.message}",
            first.help or "carebus lint shows all that is wrong",
        )

    def ledger(self, ready: Prepared) -> Ledger:
        """What became of each leaf of a prepared document.  Raises MappingError."""
        name = ready.mapping.name
        if name not in self._traced:
            traced = ready.mapping.traced()
            assert traced is not None  # noqa: S101 - it compiled a moment ago
            self._traced[name] = traced
        return ledger_of(self._traced[name], ready.document, ready.context)

    def _compile(self, name: str) -> CompiledMapping | tuple[Diagnostic, ...]:
        diagnostics = Diagnostics()
        root = self._library.source(name, diagnostics)
        if root is None and not diagnostics.has_errors:
            known = ", ".join(sorted(self.catalogue.headers)[:20])
            raise failed("R410", "", f"there is no mapping '{name}'", f"there are {known}")
        compiled = None
        if root is not None:
            compiled = compile_mapping(
                root, diagnostics=diagnostics, library=self._library, name=name
            )
        return diagnostics.items if compiled is None else compiled

    def _holds(self, candidate: Candidate, document: Document, context: MapContext) -> bool:
        """Whether the ``when:`` of a mapping is true; one with errors never is."""
        if candidate.name not in self._tests:
            assert candidate.when is not None  # noqa: S101 - only such are asked
            self._tests[candidate.name] = compile_expression(
                candidate.when,
                format=document.format,
                diagnostics=Diagnostics(),
                functions=self._library.functions,
            )
        test = self._tests[candidate.name]
        return test is not None and test.test(document, context)


def messages_of(body: bytes) -> tuple[bytes, ...]:
    """The messages of a file: of an HL7 v2 batch each one, otherwise the file itself.

    Raises FormatError for a batch that does not begin with a header.
    """
    wide = body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:8]
    if not (wide or is_batch(body)) or detect(body) != "hl7v2":
        return (body,)
    found = split_batch(body).messages
    return (body,) if wide and len(found) == 1 else found


def time_of(document: Document, zone: str) -> datetime | None:
    """A document's own time: MSH-7, Bundle.timestamp, meta.lastUpdated, a CDA's effectiveTime."""
    text: Any = None
    if isinstance(document, Hl7Message):
        text = document.get("MSH-7.1")
    elif isinstance(document, XmlDocument):
        time = document.value.find(f"{{{V3}}}effectiveTime")
        text = None if time is None else time.get("value")
    else:
        value = getattr(document, "value", None)
        if document.format == "fhir" and isinstance(value, dict):
            meta = value.get("meta")
            updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
            text = value.get("timestamp") or updated
    if not isinstance(text, str):
        return None
    try:
        return read_moment(text).as_datetime(zone)
    except FunctionError:
        return None


def _payload(given: bytes | str | Payload) -> Payload:
    """A text has no bytes that could be declared wrongly: a byte order mark says so."""
    if isinstance(given, Payload):
        return given
    if isinstance(given, bytes):
        return Payload(given)
    wide = given.lstrip("\x0b\r\n \ufeff").startswith(("MSH", "FHS", "BHS"))
    return Payload(given.encode("utf-16" if wide else "utf-8"))


@lru_cache(maxsize=8)
def _converter(mappings: Path) -> Converter:
    return Converter(mappings)
