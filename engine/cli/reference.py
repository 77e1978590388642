"""The reference pages of docs/ that are written from the code: functions, connectors, codes.

``python -m engine.cli.reference`` writes them again; a unit test fails while one is stale.  Only
what ships with the engine is in them: ``carebus describe`` also knows installed packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from engine.cli.create import shown_default
from engine.cli.engine_codes import ENGINE_CODES
from engine.config.connectors import GROUP, find_connectors
from engine.contract import ConnectorSpec, Role
from engine.formats import CODES as FORMAT_CODES
from engine.formats.null import NULL
from engine.mapping.forms import FORMS
from engine.mapping.functions import BUILT_IN
from engine.syntax.codes import CODES
from engine.units import Duration, Rate, Size

_WRITTEN_BY: Final = (
    "<!-- Written by `python -m engine.cli.reference` from the code. Do not edit. -->"
)
_GROUPS: Final = {
    "text": "Text",
    "lists": "Lists",
    "numbers": "Numbers",
    "units": "Units of measure",
    "dates": "Dates and times",
    "identifiers": "Identifiers",
    "durations": "Durations",
    "systems": "Code systems and authorities",
    "names": "Names of people",
    "phones": "Telephone numbers",
    "references": "FHIR references",
    "extensions": "FHIR extensions",
    "markup": "HTML and RTF",
    "chinese": "Chinese text",
    "narratives": "CDA documents",
}
_UNITS: Final[Mapping[str, str]] = {
    TypeAdapter[Any](unit).json_schema()["pattern"]: name
    for name, unit in (("duration", Duration), ("size", Size), ("rate", Rate))
}
_ROOMS: Final = {
    "Y": "Y: the text of a YAML file",
    "C": "C: channels, routes, TLS profiles",
    "M": "M: mappings, when they are compiled",
    "R": "R: mappings, when they meet a message",
    "P": "P: the process, its settings and the control endpoint",
}


def pages() -> dict[str, str]:
    """File name → text, for every page of docs/ that is written here."""
    return {
        "functions.md": functions_page(),
        "connectors.md": connectors_page(shipped_connectors()),
        "codes.md": codes_page(),
    }


# --- functions ------------------------------------------------------------------------------


def functions_page() -> str:
    lines = [
        "# Functions of the mapping language",
        _WRITTEN_BY,
        "Called as `name(value, …)` or in a pipe, `value | name(…)`: the value before `|` is the "
        "first argument. `?` marks an argument that may be left out, `…` one that may be repeated. "
        "A missing argument makes the result missing, unless the text says otherwise; a list as "
        "first argument of a function of one value gives the list of the results. The tests run "
        "every example. [mapping.md](mapping.md) explains the language.",
        "## Part of the language",
        "They see tables, maps, segments, or whether there is a value at all.",
        table(
            ("function", "what it gives", "examples"),
            ((code(one.signature), one.doc, _examples(one.examples)) for one in FORMS.values()),
        ),
    ]
    for group, title in _GROUPS.items():
        rows = [
            (code(one.signature), _prose(one.doc), _examples(one.examples))
            for _, one in sorted(BUILT_IN.items())
            if one.group == group
        ]
        lines += [f"## {title}", table(("function", "what it gives", "examples"), rows)]
    return _page(lines)


def _examples(examples: Iterable[tuple[str, Any]]) -> str:
    return "<br>".join(f"{code(call)} → {_result(value)}" for call, value in examples)


def _result(value: Any) -> str:
    if value is None:
        return "nothing"
    return code('""') + " (null)" if value is NULL else code(_literal(value))


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(part)}" for key, part in value.items()) + "}"
    return repr(value)


# --- connectors -----------------------------------------------------------------------------


def shipped_connectors() -> Sequence[ConnectorSpec]:
    offers = [one for one in entry_points(group=GROUP) if one.value.startswith("connectors.")]
    return tuple(find_connectors(offers)[0].values())


def connectors_page(specs: Iterable[ConnectorSpec]) -> str:
    lines = [
        "# Connectors",
        _WRITTEN_BY,
        "What stands under `settings:` of a channel, one chapter for each connector. The other "
        "keys of a channel are the same for all: see [configuration.md](configuration.md). "
        "`tls:` is the name of a profile of `tls.yaml`, or the same keys in place.",
    ]
    for spec in specs:
        lines += [f"## {spec.name}", f"{spec.summary.rstrip('.')}.", spec.notes.strip()]
        for title, role in (("inbound", spec.source), ("outbound", spec.destination)):
            if role is not None:
                lines += [
                    f"### {spec.name}: settings of an {title} channel",
                    table(("setting", "kind", "default", "meaning"), _settings(role)),
                    *_claims(title, role),
                ]
        lines += [
            f"### {spec.name}: error codes",
            table(
                ("code", "meaning", "what to do"),
                ((code(one.code), one.meaning, one.help) for one in spec.errors),
            ),
            f"### {spec.name}: examples",
            *(f"```yaml\n{example.strip()}\n```" for example in spec.examples),
        ]
    return _page(lines)


def _claims(title: str, role: Role) -> Iterator[str]:
    if title == "outbound":
        most = role.capabilities.max_in_flight
        yield f"Sends at most {most} message{'s' if most > 1 else ''} at once."


def _settings(role: Role) -> Iterator[tuple[str, str, str, str]]:
    schema = role.settings.model_json_schema()
    definitions = schema.get("$defs", {})
    defaults = {
        name: shown_default(field)
        for name, field in role.settings.model_fields.items()
        if not field.is_required()
    }
    for path, part, required in _walk(schema, definitions, ""):
        default = defaults.get(path, "")
        shown = "required" if required else code(default) if default not in ("", "{}", "[]") else ""
        yield code(path), _kind(part, definitions), shown, part.get("description", "")


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every key with its schema and whether it must be there, those of inner models included."""
    for name, part in schema.get("properties", {}).items():
        yield f"{prefix}{name}", part, name in schema.get("required", ())
        for branch in _branches(part):
            if "$ref" in branch:
                inner = _resolved(branch, definitions)
                yield from _walk(inner, definitions, f"{prefix}{name}.")


def _branches(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    found = definitions[reference.rpartition("/")[2]] if reference else schema
    return found if isinstance(found, Mapping) else {}


def _kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kinds = [_kind_of(_resolved(branch, definitions), definitions) for branch in _branches(schema)]
    return " or ".join(dict.fromkeys(kinds))


def _kind_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return ", ".join(code(str(one)) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("pattern") in _UNITS:
        return _UNITS[schema["pattern"]]
    if schema.get("format") == "password":
        return "secret"
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema.get('items', {}), definitions)}"
        case "integer":
            return _number(schema)
        case "boolean":
            return "`true`, `false`"
        case "object":
            return "mapping"
        case kind:
            return "text" if kind in ("string", None) else str(kind)


def _number(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return f"{least} to {most}" if least is not None and most is not None else "whole number"


# --- codes ----------------------------------------------------------------------------------


def codes_page() -> str:
    lines = [
        "# Codes of diagnostics and errors",
        _WRITTEN_BY,
        "`carebus describe CODE` prints the same offline. Codes of connectors, such as `MLLP-NAK`, "
        "are in [connectors.md](connectors.md).",
    ]
    for letter, title in _ROOMS.items():
        rows = [
            (code(one.code), str(one.severity), one.title, one.explanation)
            for name, one in sorted(CODES.items())
            if name.startswith(letter)
        ]
        lines += [f"## {title}", table(("code", "severity", "title", "explanation"), rows)]
    for title, errors in (
        ("Formats: payloads that cannot be read", FORMAT_CODES),
        ("The running engine: flow, store, broker, TLS", ENGINE_CODES),
    ):
        found = [(code(one.code), one.meaning, one.help) for _, one in sorted(errors.items())]
        lines += [f"## {title}", table(("code", "meaning", "what to do"), found)]
    return _page(lines)


# --- Markdown -------------------------------------------------------------------------------


def code(text: str) -> str:
    """As inline code; a text that holds a backtick gets two around it."""
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _prose(doc: str) -> str:
    return doc.replace("``", "`")


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def main(folder: Path) -> None:
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
