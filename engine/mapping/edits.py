"""Changed copies of an input, for test cases that differ from another in a place or two."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

from engine.contract import Document, Payload
from engine.formats import (
    FORMATS,
    AstmMessage,
    DelimitedDocument,
    FhirDocument,
    JsonDocument,
    XmlDocument,
)
from engine.formats.delimited import Layout
from engine.formats.hl7v2 import Hl7Message
from engine.formats.null import Null
from engine.mapping.edits_records import edit_astm, edit_table
from engine.mapping.edits_xml import edit_xml

_STEP: Final = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)(?:\.|$)")


class WrongPath(ValueError):
    """Nothing can be put there."""


def edited(
    document: Document, path: str, value: str | Null | None, layout: Layout | None = None
) -> Document:
    """A copy with one place changed; None takes it away.  ``PV1-2`` in HL7 v2 and ASTM,
    ``/a/b[2]/@c`` in XML, ``rows[2].name`` in a table of this layout, otherwise
    ``entry[1].resource.gender``.

    Raises WrongPath or FormatError.
    """
    if isinstance(document, Hl7Message):
        fresh = FORMATS["hl7v2"].parse(Payload(document.to_bytes()))
        assert isinstance(fresh, Hl7Message)  # noqa: S101
        fresh.set(path, value)
        return fresh
    if isinstance(document, JsonDocument | FhirDocument):
        tree = copy.deepcopy(document.value)
        _put(tree, _steps(path.removeprefix("$src.")), value)
        return type(document)(tree)
    text = None if isinstance(value, Null) else value
    edit: Document | None = None
    if isinstance(document, XmlDocument):
        edit = edit_xml(document, path, text)
    elif isinstance(document, DelimitedDocument):
        edit = edit_table(document, path, text, layout or Layout())
    elif isinstance(document, AstmMessage):
        edit = edit_astm(document, path, text)
    if edit is None:
        raise WrongPath(path)
    return edit


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise WrongPath(path)
        steps.append(found[1])
        steps += [int(number) - 1 for number in re.findall(r"\d+", found[2])]
        at = found.end()
    if not steps:
        raise WrongPath(path)
    return steps


def _put(tree: Any, steps: list[str | int], value: Any) -> None:
    try:
        for step in steps[:-1]:
            tree = tree[step]
        if value is None:
            del tree[steps[-1]]
        else:
            tree[steps[-1]] = value
    except (KeyError, IndexError, TypeError):
        raise WrongPath(".".join(map(str, steps))) from None
