"""JSON Schema (draft 4 to 2020-12): a document against a schema of the project."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final, NoReturn

import jsonschema_rs
import orjson

from engine.formats.findings import Finding
from engine.formats.json import write_json

_MOST: Final = 200


class SchemaError(ValueError):
    """The schema itself is wrong.  The text says how, and names no document."""


class JsonSchema:
    """A compiled schema.  Raises SchemaError when it is none; nothing is fetched for it."""

    def __init__(self, schema: bytes) -> None:
        try:
            self._validator = jsonschema_rs.validator_for(
                orjson.loads(schema), retriever=_nothing_is_fetched
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise SchemaError(f"not a usable JSON Schema ({type(error).__name__})") from None

    def validate(self, value: Any) -> tuple[Finding, ...]:
        """What is wrong with a value of `read_json`."""
        plain = orjson.loads(write_json(value, "application/json", None).body)
        errors = islice(self._validator.iter_errors(plain), _MOST)
        return tuple(
            Finding(_written(error.instance_path, plain), _problem(error)) for error in errors
        )


def _problem(error: Any) -> str:
    keyword = next((step for step in reversed(error.schema_path) if isinstance(step, str)), "")
    if keyword == "required":
        return f"'{error.kind.property}' is missing"
    return f"breaks '{keyword}' of the schema"


def _written(path: Sequence[str | int], value: Any) -> str:
    """As a mapping would name it: ``$.order.items[0].sku``.  A key that is no word may be a value,
    such as a patient's number: it is not shown (and the library takes it for an index)."""
    parts = ["$"]
    for step in path:
        if isinstance(value, list):
            parts.append(f"[{step}]")
            value = value[step] if isinstance(step, int) else None
        else:
            parts.append(f".{step}" if str(step).isidentifier() else ".?")
            value = value.get(str(step)) if isinstance(value, dict) else None
    return "".join(parts)


def _nothing_is_fetched(uri: str) -> NoReturn:
    raise ValueError("a schema refers to nothing outside itself")
