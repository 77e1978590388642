"""The JSON Schema of a mapping's frame.  What stands under ``out:`` is shaped like the output, so
only the mapping compiler can judge it."""

from __future__ import annotations

from typing import Any, Final

from engine.mapping.layouts import LAYOUT_KEYS
from engine.mapping.mapfile import SOURCES, TARGETS

FROM_KEYS: Final = (
    "message", "messages", "version", "versions", "resource", "type", "event", "root", "when",
    "priority", "namespaces", "schema", *LAYOUT_KEYS,
)  # fmt: skip
TO_KEYS: Final = (
    "message", "version", "resource", "type", "namespaces", "schema", "types", *LAYOUT_KEYS,
)  # fmt: skip

_NAME: Final = {"type": "string"}
_ANYTHING: Final[dict[str, Any]] = {}

MAPPING_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A Carebus mapping",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "mapping": {**_NAME, "description": "The mapping's name: its file's."},
        "description": {**_NAME, "description": "What it is for."},
        "extends": {**_NAME, "description": "The mapping or library that this one changes."},
        "replace": {"type": "object", "description": "Path in the base: what stands there."},
        "remove": {
            "type": "array",
            "items": _NAME,
            "description": "Paths in the base: out.entry[label].resource.code.",
        },
        "add": {"type": "object", "description": "Path: a new key, or a new entry of a list."},
        "from": {
            "type": "object",
            "description": "What it reads.",
            "properties": {
                "format": {"enum": list(SOURCES)},
                **dict.fromkeys(FROM_KEYS, _ANYTHING),
            },
            "additionalProperties": False,
        },
        "to": {
            "type": "object",
            "description": "What it writes.",
            "properties": {
                "format": {"enum": list(TARGETS)},
                **dict.fromkeys(TO_KEYS, _ANYTHING),
            },
            "additionalProperties": False,
        },
        "import": {
            "type": "array",
            "items": _NAME,
            "description": "Files of mappings/ whose maps and tables are used here: lib/datatypes.",
        },
        "params": {
            "type": "object",
            "description": "What a route must give: name → type.",
            "additionalProperties": {"enum": ["text", "number", "boolean"]},
        },
        "let": {"type": "object", "description": "Values with a name: '= …'."},
        "out": {"description": "The output, in its own shape."},
        "maps": {
            "type": "object",
            "description": "Reusable pieces.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "args": {"type": "array", "items": _NAME},
                    "let": {"type": "object"},
                    "key": {"description": "What tells its resource from others: = … or a list."},
                    "out": _ANYTHING,
                },
            },
        },
        "tables": {
            "type": "object",
            "description": "Code tables.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "unmapped": {
                        "description": "What an unknown code does: error, pass, drop, or = 'code'."
                    },
                    "rows": {"type": "object", "description": "code → code"},
                    "file": {
                        "type": "string",
                        "description": "Rows in a CSV or a ConceptMap below mappings/.",
                    },
                },
            },
        },
    },
}
