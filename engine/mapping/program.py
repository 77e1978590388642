"""What starts a run: the blank cells, the segments to look up, the parameters to put in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from engine.contract import Document, FormatError, MapContext
from engine.formats import AstmMessage
from engine.formats.delimited import Layout
from engine.formats.hl7v2 import Hl7Message
from engine.mapping.ast import SEGMENTED
from engine.mapping.elements import begin_message
from engine.mapping.failures import failed
from engine.mapping.paths_tree import resources
from engine.mapping.runstate import CONTEXT, DOCUMENT, Run
from engine.mapping.scope import Binding, Scope, Unit
from engine.mapping.values import number_of

PARAMETER_TYPES: Final = ("text", "number", "boolean")


class WrongFormat(TypeError):
    """The document is not of the format that was compiled for."""


@dataclass(frozen=True, slots=True)
class Program:
    """Makes the run for one document.  Immutable; shared by every run."""

    format: str
    blank: Run
    segments: tuple[tuple[str, int], ...]
    setters: tuple[Callable[[Run], None], ...]

    def begin(self, document: Document, context: MapContext) -> Run:
        """Raises WrongFormat, or MappingError for a parameter that is missing or wrong."""
        if document.format != self.format:
            raise WrongFormat(f"{self.format} is wanted, not {document.format}")
        run = self.blank.copy()
        run[DOCUMENT] = document
        run[CONTEXT] = context
        if isinstance(document, Hl7Message | AstmMessage):
            begin_message(run, document)
            for name, cell in self.segments:
                segment = document.segment(name)
                if segment is not None:
                    run[cell] = segment.fields
        for setter in self.setters:
            setter(run)
        return run


def root_scope(unit: Unit, parameters: dict[str, str]) -> Scope:
    """The names every mapping sees, and its parameters."""
    scope = Scope()
    names = ["now", "message", "channel", *parameters]
    if unit.format not in SEGMENTED:
        names.append("src")
    for name in names:
        scope.names[name] = Binding(unit.layout.cell())
    return scope


def finish(unit: Unit, scope: Scope, parameters: dict[str, str], location: str) -> Program:
    """After everything is compiled: fill only the cells that something reads."""
    setters: list[Callable[[Run], None]] = []
    names = scope.names
    if unit.format not in SEGMENTED and names["src"].used:
        cell = names["src"].cell
        table = _table(cell, unit.layout_of_source, location)
        setters.append(table if unit.format == "delimited" else _source(cell))
    if unit.resources_cell is not None:
        setters.append(_resources(unit.resources_cell))
    if names["now"].used:
        setters.append(_now(names["now"].cell))
    if names["message"].used:
        setters.append(_message(names["message"].cell))
    if names["channel"].used:
        setters.append(_channel(names["channel"].cell))
    setters += [
        _parameter(names[name].cell, name, kind, location) for name, kind in parameters.items()
    ]
    segments = tuple(scope.segments.items())
    return Program(unit.format, unit.layout.blank(), segments, tuple(setters))


def _source(cell: int) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        run[cell] = run[DOCUMENT].value

    return put


def _table(cell: int, layout: Layout, location: str) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        try:
            run[cell] = {"rows": run[DOCUMENT].rows(layout)}
        except FormatError as error:
            raise failed("R404", location, error.info.summary) from None

    return put


def _resources(cell: int) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        run[cell] = resources(run[DOCUMENT].value)

    return put


def _now(cell: int) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        context: MapContext = run[CONTEXT]
        zone = ZoneInfo(context.timezone) if context.timezone else None
        moment = context.now.astimezone(zone) if zone else context.now
        text = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
        run[cell] = text.replace("+00:00", "Z") if zone is None else text

    return put


def _message(cell: int) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        run[cell] = {"id": str(run[CONTEXT].message_id)}

    return put


def _channel(cell: int) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        run[cell] = str(run[CONTEXT].channel) or None

    return put


def _parameter(cell: int, name: str, kind: str, location: str) -> Callable[[Run], None]:
    def put(run: Run) -> None:
        given = run[CONTEXT].params.get(name)
        value = converted(given, kind)
        if value is None:
            raise failed(
                "R403",
                location,
                f"parameter '{name}' is missing or is no {kind}",
                f"give it in the route: params: {{{name}: …}}",
            )
        run[cell] = value

    return put


def converted(given: Any, kind: str) -> Any:
    """A route's parameter as its declared type, or None when it is not one."""
    if kind == "boolean":
        return given if isinstance(given, bool) else {"true": True, "false": False}.get(str(given))
    if kind == "number":
        return number_of(given)
    return None if given is None else str(given)
