"""What an HL7 v2 output leaves open in its MSH, filled in from the mapping's ``to:``.

``to: {format: hl7v2, message: ORU_R01, version: 2.5.1}`` gives MSH-9 its type, event and structure
and MSH-12 its version (HL7 2.5.1 ch. 2.15.9); what the mapping writes itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from engine.formats.hl7v2.structure_table import structure_of_event
from engine.mapping.runstate import Run
from engine.syntax import Mapping, Node, Scalar

_WITHOUT_STRUCTURE: Final = frozenset({"2.1", "2.2", "2.3"})
"""Versions whose MSH-9 has two components."""


def header_completion(to: Node | None) -> Callable[[Run, Any], Any] | None:
    """What fills in the MSH of an output; None when ``to:`` says nothing about it."""
    message, version = _text(to, "message"), _text(to, "version")
    if not message and not version:
        return None
    kind, _, event = message.replace("^", "_").partition("_")
    with_structure = version not in _WITHOUT_STRUCTURE

    def completing(run: Run, tree: Any) -> Any:
        header = tree.get("MSH") if tree.__class__ is dict else None
        if header.__class__ is not dict:
            return tree
        if message:
            header[9] = _type(header.get(9))
        if version and 12 not in header:
            header[12] = version
        return tree

    def _type(given: Any) -> Any:
        if given is not None and given.__class__ is not dict:
            return given
        parts: dict[Any, Any] = dict(given or {})
        parts.setdefault(1, kind)
        if event:
            parts.setdefault(2, event)
        if with_structure and event and 3 not in parts:
            own = structure_of_event(str(parts[1]), str(parts[2]))
            parts[3] = own or message.replace("^", "_")
        return parts

    return completing


def _text(node: Node | None, key: str) -> str:
    given = node.get(key) if isinstance(node, Mapping) else None
    return given.text if isinstance(given, Scalar) else ""
