"""What is known of a FHIR output before it is written: the types of maps, the keys of objects, the
results of expressions.  Everything here may answer "unknown", and then nothing is checked."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass

from engine.formats.fhir.definitions import Definitions
from engine.mapping.ast import Call, Expr, ListOf, Literal, Operation, Path, Required, Segment
from engine.mapping.grammar import is_expression
from engine.mapping.mapfile import MapDefinition
from engine.mapping.tables import literal_text
from engine.syntax import Mapping, Node, Scalar, Sequence

SPREADS = ("$case", "$use", "$refer", "$first", "$merge", "$raise")
_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Keys:
    """The output keys that an object may have; ``all`` when there can be no others."""

    names: frozenset[str]
    all: bool


class Shapes:
    """The maps that a file can call, seen as FHIR."""

    def __init__(self, definitions: Definitions, maps: Dictionary[str, MapDefinition]) -> None:
        self.definitions, self.maps = definitions, maps

    def map_type(self, name: str) -> str | None:
        """The type that a map gives: the one it declares, or its literal resourceType."""
        found = self.maps.get(name)
        if found is None:
            return None
        if found.type is not None:
            return found.type.text
        return self.resource_type(found.out)

    def resource_type(self, node: Node, depth: int = 0) -> str | None:
        """The literal resourceType of an object, in itself or in what it certainly uses."""
        if isinstance(node, Sequence):
            return self.resource_type(node.items[0], depth) if len(node.items) == 1 else None
        if not isinstance(node, Mapping) or depth > _DEPTH:
            return None
        given = node.get("resourceType")
        if isinstance(given, Scalar):
            return None if is_expression(given.text) else literal_text(given.text)
        used = node.get("$use")
        if isinstance(used, Scalar) and used.text in self.maps:
            definition = self.maps[used.text]
            if definition.type is not None:
                return definition.type.text
            return self.resource_type(definition.out, depth + 1)
        merged = node.get("$merge")
        for part in merged.items if isinstance(merged, Sequence) else ():
            found = self.resource_type(part, depth + 1)
            if found is not None:
                return found
        return None

    def keys(self, node: Node, depth: int = 0) -> Keys:
        """Those of the object that a node gives, whichever of its branches is taken."""
        if not isinstance(node, Mapping) or depth > _DEPTH:
            return Keys(frozenset(), False)
        names = {key.text for key, _ in node.entries if not key.text.startswith("$")}
        complete = True
        for part in self.parts(node):
            below = self.keys(part, depth + 1)
            names |= below.names
            complete = complete and below.all
        if "$raise" in node or "$refer" in node:
            complete = False
        return Keys(frozenset(names), complete)

    def parts(self, node: Mapping) -> Iterator[Node]:
        """What the directives of an object merge into it, alternatives one after the other."""
        yield from alternatives(node)
        used = node.get("$use")
        if isinstance(used, Scalar):
            definition = self.maps.get(used.text)
            yield used if definition is None else definition.out


def alternatives(node: Mapping) -> Iterator[Node]:
    """What `$of`, `$else`, `$first` and `$merge` of an object merge into it."""
    of = node.get("$of")
    if isinstance(of, Mapping):
        yield from (branch for _, branch in of.entries)
    otherwise = node.get("$else")
    if otherwise is not None:
        yield otherwise
    for directive in ("$first", "$merge"):
        given = node.get(directive)
        if isinstance(given, Sequence):
            yield from given.items


def has_content(node: Mapping) -> bool:
    """Whether an object has keys of its own, besides directives."""
    return any(not key.text.startswith("$") for key, _ in node.entries)


def results(tree: Expr) -> Iterator[Expr]:
    """What the value of an expression may be, as far as its text tells: literals, calls, paths."""
    match tree:
        case Operation("??", left, right):
            yield from results(left)
            yield from results(right)
        case Required(operand):
            yield from results(operand)
        case Call("try", (inner,)):
            yield from results(inner)
        case Call("list", arguments):
            for argument in arguments:
                yield from results(argument)
        case ListOf(items):
            for item in items:
                yield from results(item)
        case _:
            yield tree


def gives_text(tree: Expr, format: str) -> bool:
    """Whether this can only be text or nothing: a path into an HL7 v2 message."""
    return format == "hl7v2" and isinstance(tree, Path) and isinstance(tree.root, Segment)


def literal_argument(call: Call, number: int = 0) -> str | None:
    """A text in quotes among the arguments; the piped value is the first of them."""
    at = number + (1 if call.piped else 0)
    if len(call.arguments) > at:
        found = call.arguments[at]
        if isinstance(found, Literal) and isinstance(found.value, str):
            return found.value
    return None
