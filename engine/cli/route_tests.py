"""``routes.test.yaml``: this message, come in by this channel, goes to these targets.

.. code-block:: yaml

    cases:
      - name: an admission goes to the EMR
        from: his-adt
        input: {file: samples/adt-a01.hl7}
        to: [admissions/emr-fhir]

``input`` is a file, or the message itself as a text block; ``to`` names route/target, and ``[]``
says that nobody wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engine.cli.sending import read_messages
from engine.cli.try_out import context_of
from engine.config.model import Configuration
from engine.config.references import References
from engine.config.validation import validate
from engine.contract import EngineError, Payload
from engine.flow.routing import Router
from engine.syntax import Diagnostics, decode_yaml, read_yaml
from engine.syntax import Mapping as MappingNode

FILE: Final = "routes.test.yaml"

_Text = Annotated[str, StringConstraints(min_length=1)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputFile(_Keys):
    """Where the message is."""

    file: _Text = Field(description="A file, relative to the project.")


class CaseKeys(_Keys):
    """One case."""

    name: _Text = Field(description="What is shown, and what -k looks in.")
    origin: _Text = Field(alias="from", description="The inbound channel.")
    input: InputFile | str = Field(description="The message, or {file: …}.")
    to: list[str] = Field(description="route/target of every delivery; [] for none.")


class CasesKeys(_Keys):
    """routes.test.yaml."""

    cases: list[CaseKeys]


@dataclass(frozen=True, slots=True)
class RouteResult:
    """``problem`` is empty when the case passed; else what a person reads, without content."""

    name: str
    problem: str = ""
    routes: tuple[str, ...] = ()  # that wanted the message


def read_cases(root: Path, diagnostics: Diagnostics) -> tuple[Sequence[CaseKeys], str]:
    """The cases of the project and the file's text; none when there is no such file."""
    try:
        body = (root / FILE).read_bytes()
    except FileNotFoundError:
        return (), ""
    text = decode_yaml(body, FILE, diagnostics)
    node = None if text is None else read_yaml(text, FILE, diagnostics)
    if not isinstance(node, MappingNode):
        return (), text or ""
    keys = validate(CasesKeys, node, diagnostics, References({}, root, diagnostics))
    return (keys.cases if keys and not diagnostics.has_errors else ()), text or ""


def run_case(configuration: Configuration, case: CaseKeys) -> RouteResult:
    channel = configuration.channels.get(case.origin)
    if channel is None or channel.direction != "inbound":
        return RouteResult(case.name, f"there is no inbound channel '{case.origin}'")
    try:
        body = _body(configuration.root, case, channel.format.name)
        document = channel.format.parse(Payload(body), charset=channel.charset)
    except OSError as error:
        return RouteResult(case.name, f"the input cannot be read: {error.strerror}")
    except EngineError as error:
        return RouteResult(case.name, f"the input cannot be parsed: {error}")
    verdicts = Router(configuration, channel.name).verdicts(document, context_of(channel))
    broken = [verdict.error for verdict in verdicts if verdict.error is not None]
    if broken:
        return RouteResult(case.name, f"a condition failed: {broken[0].code} {broken[0].summary}")
    got = [
        f"{verdict.route.name}/{target.name}" for verdict in verdicts for target in verdict.targets
    ]
    wanted = tuple(verdict.route.name for verdict in verdicts if verdict.matched)
    return RouteResult(case.name, _difference(case.to, got), wanted)


def _difference(expected: Sequence[str], got: Sequence[str]) -> str:
    missing = [one for one in expected if one not in got]
    extra = [one for one in got if one not in expected]
    lines = [f"- {one} was expected" for one in missing]
    lines += [f"+ {one} was not expected" for one in extra]
    return "\n".join(lines)


def _body(root: Path, case: CaseKeys, format: str) -> bytes:
    if isinstance(case.input, str):
        body, name = case.input.encode(), case.name
    else:
        body, name = (root / case.input.file).read_bytes(), case.input.file
    return next(read_messages(name, body)).body if format == "hl7v2" else body
