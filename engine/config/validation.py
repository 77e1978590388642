"""A YAML mapping into a pydantic model, with every complaint at its place in the file.

Texts become numbers and booleans only where the model wants them; references are filled in; a
secret that is written out is refused.  pydantic's errors are translated: unknown keys get a
suggestion, and no message repeats a value.
"""

from __future__ import annotations

from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.references import References, has_reference
from engine.config.shape import Shape, shape_of
from engine.syntax import Diagnostics, Mapping, Node, Position, Scalar, Sequence
from engine.syntax.nearest import did_you_mean
from engine.syntax.typed import (
    BOOLEANS,
    INTEGER,
    NUMBER,
    boolean_of,
    described,
    integer_of,
    number_of,
)

M = TypeVar("M", bound=BaseModel)

_SCALARS: Final = frozenset({"string", "boolean", "integer", "number"})
# pydantic says these for each branch of a union that was not meant.
_WRONG_KIND: Final = frozenset(
    {"model_type", "dict_type", "list_type", "tuple_type", "string_type", "none_required"}
)


def validate(
    model: type[M],
    node: Mapping,
    diagnostics: Diagnostics,
    references: References,
    *,
    at: Position | None = None,
    without: AbstractSequence[str] = (),
) -> M | None:
    """The model, or None after at least one diagnostic.

    ``at`` is where a missing key is reported (by default where ``node`` begins); keys in
    ``without`` are somebody else's.
    """
    reading = _Reading(diagnostics, references)
    shape = shape_of(model)
    value = {
        key.text: reading.member(shape, key, child)
        for key, child in node.entries
        if key.text not in without
    }
    try:
        made = model.model_validate(value)
    except ValidationError as error:
        _report(error, node, shape, reading, diagnostics, at or node.position)
        return None
    return None if reading.reported else made


class _Reading:
    """One walk along a model's shape.  ``reported``: where something was said already."""

    def __init__(self, diagnostics: Diagnostics, references: References) -> None:
        self._diagnostics = diagnostics
        self._references = references
        self.reported: set[Position] = set()

    def member(self, shape: Shape, key: Scalar, child: Node) -> Any:
        self._references.refuse_in_key(key)
        if isinstance(child, Scalar) and not child.text and not child.quoted and not child.block:
            self._say("C104", child, f"nothing stands after '{key.text}:'", at=key)
            return None
        return self.read(shape.member(key.text), child)

    def read(self, shape: Shape, node: Node) -> Any:
        match node:
            case Mapping():
                if shape.types and "object" not in shape.types:
                    self._wrong_kind(shape, node)
                return {key.text: self.member(shape, key, child) for key, child in node.entries}
            case Sequence():
                if shape.types and "array" not in shape.types:
                    self._wrong_kind(shape, node)
                item = shape.item()
                return [self.read(item, child) for child in node.items]
            case Scalar():
                return self._scalar(shape, node)

    def _scalar(self, shape: Shape, node: Scalar) -> Any:
        wanted = shape.types & _SCALARS
        if shape.types and not wanted:
            self._wrong_kind(shape, node)
            return node.text
        if shape.secret and not has_reference(node.text):
            self._say(
                "C114",
                node,
                "a secret is written out here",
                help="write ${env:NAME} or ${file:/run/secrets/NAME}",
            )
        text = self._references.fill(node)
        if text is None:
            self.reported.add(node.position)
            return node.text
        if not shape.types or ("string" in wanted and (node.quoted or node.block)):
            return text
        if "boolean" in wanted and text in BOOLEANS:
            return BOOLEANS[text]
        if "integer" in wanted and INTEGER.match(text) and len(text) <= 30:
            return int(text)
        if "string" in wanted:
            return text
        if "number" in wanted and NUMBER.match(text):
            return float(text)
        self._not_typed(wanted, node)
        return text

    def _not_typed(self, wanted: frozenset[str], node: Scalar) -> None:
        self.reported.add(node.position)
        if "boolean" in wanted:
            boolean_of(node, self._diagnostics)
        elif "integer" in wanted:
            integer_of(node, self._diagnostics)
        else:
            number_of(node, self._diagnostics)

    def _wrong_kind(self, shape: Shape, node: Node) -> None:
        for kind, code, said in (
            ("object", "Y205", "a mapping is wanted"),
            ("array", "Y206", "a list is wanted"),
        ):
            if kind in shape.types:
                self._say(code, node, f"{said}, not {described(node)}")
                return
        self._say("Y204", node, f"a single text is wanted, not {described(node)}")

    def _say(
        self,
        code: str,
        node: Node,
        message: str,
        *,
        help: str | None = None,
        at: Node | None = None,
    ) -> None:
        self._diagnostics.at(code, at or node, message, help=help)
        self.reported.add(node.position)


@dataclass(frozen=True, slots=True)
class _Complaint:
    code: str
    position: Position
    length: int
    message: str
    help: str | None
    inside: frozenset[Position]  # of the lists and mappings around it
    weak: bool = False  # of a branch that was not meant, when there is a better one


def _report(
    error: ValidationError,
    node: Mapping,
    shape: Shape,
    reading: _Reading,
    diagnostics: Diagnostics,
    at: Position,
) -> None:
    """The branches of a union complain side by side: the best of them is said."""
    complaints: list[_Complaint] = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        place = _locate(node, shape, found["loc"])
        if place.node.position not in reading.reported:
            complaints.append(_complaint(found["type"], found["msg"], place, at))
    strong = {one.position for one in complaints if not one.weak}
    strong.update(position for one in complaints for position in one.inside)
    for one in complaints:
        if not one.weak or one.position not in strong:
            diagnostics.add(one.code, one.position, one.message, length=one.length, help=one.help)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a pydantic ``loc`` names: the node, the key that leads to it, what is wanted there."""

    node: Node
    key: Scalar | None
    shape: Shape
    parent: Shape
    around: tuple[Position, ...]
    rest: str  # the last name that is not in the file


def _complaint(kind: str, message: str, place: _Place, at: Position) -> _Complaint:
    node, key, inside = place.node, place.key, frozenset(place.around)
    if kind == "extra_forbidden" and key is not None:
        help = did_you_mean(key.text, place.parent.keys())
        said = f"unknown key '{key.text}'"
        return _Complaint("C101", key.position, key.length, said, help, inside)
    if kind == "missing":
        wanted = place.shape.member(place.rest).description
        help = f"{place.rest}: {wanted}" if wanted else None
        said = f"the key '{place.rest}' is missing"
        if key is None:
            return _Complaint("C102", at, 1, said, help, inside)
        return _Complaint("C102", key.position, key.length, said, help, inside)
    if place.rest == "[key]" and key is not None:  # pydantic's name for the key itself
        return _Complaint("C103", key.position, key.length, _said(message), None, inside)
    about = place.shape.description
    help = f"{key.text}: {about}" if key is not None and about else None
    if kind == "too_short":
        message = "nothing is listed"
    weak = kind in _WRONG_KIND or (kind == "literal_error" and not isinstance(node, Scalar))
    return _Complaint("C103", node.position, node.length, _said(message), help, inside, weak)


def _locate(node: Node, shape: Shape, loc: tuple[int | str, ...]) -> _Place:
    """Parts of ``loc`` that name the branch of a union are passed over."""
    key: Scalar | None = None
    parent, rest = shape, ""
    around: list[Position] = []
    for part in loc:
        child: Node | None = None
        if isinstance(node, Mapping) and isinstance(part, str):
            child = node.get(part)
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node):
            child = node.items[part]
        if child is None:
            rest = str(part)
            continue
        around.append(node.position)
        if isinstance(node, Mapping):
            key = node.key(str(part))
            parent, shape = shape, shape.member(str(part))
        else:
            shape = shape.item()
        node = child
    return _Place(node, key, shape, parent, tuple(around), rest)


def _said(message: str) -> str:
    """pydantic's words in our manner: lower case, no full stop, without 'input'."""
    message = message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return message[:1].lower() + message[1:]
