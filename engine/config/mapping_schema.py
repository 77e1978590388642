"""The JSON Schema of a mapping's frame.  What stands under ``out:`` is shaped like the output, so
only the mapping compiler can judge it."""

from __future__ import annotations

from typing import Any, Final

_NAME: Final = {"type": "string"}
_ANYTHING: Final[dict[str, Any]] = {}

MAPPING_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A Carebus mapping",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "mapping": {**_NAME, "description": "The mapping's name: its file's."},
        "extends": {**_NAME, "description": "The mapping that this overlay changes."},
        "from": {
            "type": "object",
            "description": "What it reads.",
            "properties": {"format": _NAME, "message": _ANYTHING, "version": _ANYTHING},
            "required": ["format"],
        },
        "to": {
            "type": "object",
            "description": "What it writes.",
            "properties": {"format": _NAME, "version": _ANYTHING, "resource": _NAME},
            "required": ["format"],
        },
        "import": {
            "type": "array",
            "items": _NAME,
            "description": "Files of mappings/ whose maps and tables are used here: lib/datatypes.",
        },
        "params": {
            "type": "object",
            "description": "What a route must give: name → type.",
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
                },
            },
        },
        "replace": {"type": "object", "description": "Overlay: path → what stands there now."},
        "remove": {"type": "array", "description": "Overlay: paths that are left out."},
        "add": {"type": "object", "description": "Overlay: path → what is new there."},
    },
}
