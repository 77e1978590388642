"""What a pydantic model wants at each place, read from its JSON Schema.

This is how a scalar, which is text, is known to be wanted as a number or a boolean, and which keys
there are to suggest.  Unions are seen as one: any branch may want it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

_Schema = Mapping[str, Any]


class Shape:
    """One place of a model.  ``types`` are JSON Schema's; empty: anything goes."""

    __slots__ = ("_definitions", "_schemas", "description", "secret", "types")

    def __init__(self, schemas: Iterable[_Schema], definitions: Mapping[str, _Schema]) -> None:
        self._definitions = definitions
        schemas = tuple(schemas)
        self.description: str = schemas[0].get("description", "") if schemas else ""
        self._schemas = tuple(
            simple for schema in schemas for simple in _branches(schema, definitions)
        )
        self.types = frozenset(kind for schema in self._schemas for kind in _types(schema))
        if any(not _types(schema) for schema in self._schemas):
            self.types = frozenset()
        self.secret = any(schema.get("format") == "password" for schema in self._schemas)

    def keys(self) -> tuple[str, ...]:
        names = (name for schema in self._schemas for name in schema.get("properties", ()))
        return tuple(dict.fromkeys(names))

    def member(self, key: str) -> Shape:
        """The place under a key; one where anything goes when the key is unknown."""
        found = [
            schema["properties"][key]
            for schema in self._schemas
            if key in schema.get("properties", ())
        ]
        if not found:
            extra = [schema.get("additionalProperties") for schema in self._schemas]
            for schema in self._schemas:
                extra.extend(schema.get("patternProperties", {}).values())
            found = [schema for schema in extra if isinstance(schema, dict)]
        return Shape(found or [{}], self._definitions)

    def item(self) -> Shape:
        found: list[_Schema] = []
        for schema in self._schemas:
            found.extend(schema.get("prefixItems", ()))
            if isinstance(schema.get("items"), dict):
                found.append(schema["items"])
        return Shape(found or [{}], self._definitions)


@lru_cache(maxsize=256)
def shape_of(model: type[BaseModel]) -> Shape:
    schema = model.model_json_schema()
    return Shape([schema], schema.get("$defs", {}))


def _branches(schema: _Schema, definitions: Mapping[str, _Schema]) -> Iterator[_Schema]:
    reference = schema.get("$ref")
    if reference is not None:
        yield from _branches(definitions[reference.rpartition("/")[2]], definitions)
        return
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            for branch in schema[word]:
                yield from _branches(branch, definitions)
            return
    yield schema


_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _types(schema: _Schema) -> tuple[str, ...]:
    if "type" in schema:
        kind = schema["type"]
        return tuple(kind) if isinstance(kind, list) else (kind,)
    if "const" in schema:
        return (_JSON_TYPES.get(type(schema["const"]), "null"),)
    if "enum" in schema:
        return tuple({_JSON_TYPES.get(type(value), "null") for value in schema["enum"]})
    return ()
