"""``carebus describe``: explains a connector, a function or an error code, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from engine.contract import ConnectorSpec, ErrorCode
    from engine.mapping import Function
    from engine.mapping.form import Form
    from engine.syntax.code import Code

_FILES = ("tls", "tls.yaml")


def describe(
    what: Annotated[
        str,
        typer.Argument(
            help="A connector (mllp), a function (date), a code (M303, MLLP-NAK), or tls."
        ),
    ] = "",
) -> None:
    """Explain a connector, a mapping function, an error code or tls.yaml; without a name, list
    them all."""
    if not what:
        _everything()
        return
    for text in _explained(what):
        typer.echo(text)
        return
    from engine.syntax.nearest import nearest

    names = [*_FILES, *_connectors(), *_functions(), *_forms(), *_codes(), *_error_codes()]
    near = nearest(what, names)
    hint = f"did you mean {near}?" if near else "carebus describe lists what there is"
    raise typer.BadParameter(f"nothing is called '{what}'; {hint}")


def _explained(what: str) -> Iterator[str]:
    connectors, codes, errors = _connectors(), _codes(), _error_codes()
    if what in _FILES:
        yield tls_text()
    if what in connectors:
        yield connector_text(connectors[what])
    if what in _functions():
        yield function_text(_functions()[what])
    if what in _forms():
        yield form_text(_forms()[what])
    if what.upper() in codes:
        yield _code_text(codes[what.upper()])
    if what.upper() in errors:
        error = errors[what.upper()]
        yield f"{error.code}: {error.meaning}\n\n{error.help}"


def _everything() -> None:
    from engine.cli.output import print_table

    rows = [("file", "tls.yaml", "TLS profiles, and the keys of a channel's tls:")]
    rows += [("connector", name, spec.summary) for name, spec in sorted(_connectors().items())]
    listed = {name: (one.signature, one.doc) for name, one in _functions().items()}
    listed |= {name: (one.signature, one.doc) for name, one in _forms().items()}
    rows += [
        ("function", signature, doc.split("\n", 1)[0])
        for _, (signature, doc) in sorted(listed.items())
    ]
    rows += [("code", code, row.title) for code, row in sorted(_codes().items())]
    rows += [("code", code, row.meaning) for code, row in sorted(_error_codes().items())]
    print_table(("kind", "name", "about"), rows)


def tls_text() -> str:
    """The keys of a TLS profile, which a channel's ``tls:`` may hold in place."""
    from engine.security.tls import TlsSettings

    return "\n".join(
        (
            "tls.yaml: TLS profiles by name, under profiles:.",
            "A channel's settings name one (tls: hospital-internal) or have its keys in place.",
            "",
            "keys of a profile:",
            *_settings(TlsSettings),
            "",
            "example:",
            "  profiles:",
            "    hospital-internal: {certificate: tls/engine.pem, key: tls/engine.key, "
            "ca: tls/hospital-ca.pem}",
        )
    )


def connector_text(spec: ConnectorSpec) -> str:
    """Everything a spec says, as text."""
    lines = [f"{spec.name}: {spec.summary}", f"{spec.stability}, since {spec.since}", ""]
    if spec.notes:
        lines += [spec.notes.strip(), ""]
    for title, role in (("inbound", spec.source), ("outbound", spec.destination)):
        if role is not None:
            lines += [f"settings of an {title} channel:", *_settings(role.settings), ""]
    if spec.errors:
        lines += ["error codes:"]
        lines += [f"  {error.code:16} {error.meaning}" for error in spec.errors]
        lines += [""]
    for example in spec.examples:
        lines += ["example:", *(f"  {line}" for line in example.strip().splitlines()), ""]
    return "\n".join(lines).rstrip()


def _settings(model: type[BaseModel]) -> Iterator[str]:
    from engine.cli.create import shown_default

    for name, field in model.model_fields.items():
        default = shown_default(field)
        needed = "required" if field.is_required() else f"default {default}" if default else ""
        yield f"  {name:16} {field.description or ''}{f' ({needed})' if needed else ''}"


def _code_text(code: Code) -> str:
    return f"{code.severity}[{code.code}]: {code.title}\n\n{code.explanation}"


def _connectors() -> dict[str, ConnectorSpec]:
    from engine.config.connectors import find_connectors

    return dict(find_connectors()[0])


def _codes() -> dict[str, Code]:
    from engine.syntax.codes import CODES

    return dict(CODES)


def _error_codes() -> dict[str, ErrorCode]:
    """Of the connectors, the formats and the engine itself."""
    from engine.cli.engine_codes import ENGINE_CODES
    from engine.formats import CODES

    connectors = {error.code: error for spec in _connectors().values() for error in spec.errors}
    return {**connectors, **CODES, **ENGINE_CODES}


def _functions() -> dict[str, Function]:
    from engine.mapping import find_functions

    return dict(find_functions()[0])


def _forms() -> dict[str, Form]:
    from engine.mapping.forms import FORMS

    return dict(FORMS)


def function_text(function: Function) -> str:
    """Signature, docstring, and the examples that the tests execute."""
    lines = [f"{function.signature} → {function.returns}", "", function.doc, ""]
    lines += [f"  = {call}    gives {result!r}" for call, result in function.examples]
    return "\n".join(lines)


def form_text(form: Form) -> str:
    """The same for what looks like a function and is part of the language."""
    lines = [form.signature, "", form.doc, ""]
    lines += [f"  = {call}    gives {result!r}" for call, result in form.examples]
    return "\n".join(lines).rstrip()
