"""What a mapping reads of an HL7 v2 message, found out without a message.

The YAML is walked once.  A value that is written, or given to a function, is *read*; one that is
only tested (``$if``, ``$case``, a comparison) is not: nothing of it reaches the output.  Segments
are told apart by the group in whose loop they are read.  Where it cannot be known which repetition
is meant, nothing counts as read.  `engine.formats.hl7v2.rest` keeps what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from engine.formats.hl7v2.rest import EVERYTHING, FieldReads, Instances, Reads, SegmentReads
from engine.mapping.ast import (
    Call,
    Every,
    Expr,
    GroupName,
    Index,
    Literal,
    Name,
    Negative,
    Number,
    Operation,
    Path,
    Required,
    Segment,
    Variable,
)
from engine.mapping.grammar import is_expression, parse_expression
from engine.mapping.loops import FOR_HEADER
from engine.mapping.mapfile import MapDefinition
from engine.syntax import Diagnostics, Node, Scalar, Sequence
from engine.syntax import Mapping as MappingNode

_FORMAT: Final = "hl7v2"
_ALL: Final = 0
"""A step to every repetition; the others are numbers from 1."""
_PASSING: Final = frozenset(
    "list first last default skip take unique without sort reverse_list flatten try".split()  # noqa: SIM905
)
"""Functions that give values on as they are."""
_TESTING: Final = frozenset({"exists", "count", "is_null", "urn_uuid", "uuid5", "hash", "rest"})
"""Functions that tell something of a value, and not the value itself."""
_ARITHMETIC: Final = frozenset("+-*/")

Origin: TypeAlias = tuple[Instances | str, tuple[int, ...]]
"""Segments or ``$argument``, and the steps from there; groups of segments have no name."""
Names: TypeAlias = Mapping[str, frozenset[Origin]]
_HERE: Final = ""
"""Among names: the groups whose turn it is; a path that begins with a segment looks there first."""
_NOWHERE: Final[frozenset[Origin]] = frozenset()
_GROUP: Final[frozenset[Origin]] = frozenset({(Instances(""), ())})


@dataclass(slots=True)
class _Body:
    """What one map, or the mapping itself, does with its segments and arguments."""

    read: set[tuple[Origin, bool]] = field(default_factory=set)
    """With whether everything below is read, not only the first leaf."""
    given: set[tuple[str, int | str, Origin]] = field(default_factory=set)
    """To which map, as which of its arguments: by its number or its name."""


def what_is_read(let: MappingNode | None, out: Node, maps: Mapping[str, MapDefinition]) -> Reads:
    """For the segments that the mapping reads anything of, what."""
    whole = _Walk(_Body())
    whole.node(out, whole.lets(let, {}))
    bodies: dict[str, _Body] = {}
    found: dict[Instances, SegmentReads] = {}
    seen: set[tuple[str, str, Origin]] = set()

    def settle(body: _Body, argument: str, given: Origin) -> None:
        """A map sees nothing of the message but its arguments; here one of them."""
        for origin, everything in body.read:
            place = _placed(origin, argument, given)
            if place is not None:
                _note(found, place, everything)
        for name, which, origin in body.given:
            place = _placed(origin, argument, given)
            definition = maps.get(name)
            if definition is None or place is None:
                continue
            names = [one.text for one in definition.arguments]
            wanted = which if isinstance(which, str) else names[which] if which < len(names) else ""
            if wanted in names and (name, wanted, place) not in seen:
                seen.add((name, wanted, place))
                if name not in bodies:
                    bodies[name] = _body_of(definition)
                settle(bodies[name], f"${wanted}", place)

    settle(whole.body, "", (Instances(""), ()))
    return found


def _body_of(definition: MapDefinition) -> _Body:
    walk = _Walk(_Body())
    names = {
        argument.text: frozenset({(f"${argument.text}", ())}) for argument in definition.arguments
    }
    walk.node(definition.out, walk.lets(definition.let, names))
    return walk.body


def _placed(origin: Origin, argument: str, given: Origin) -> Origin | None:
    """The origin within the message; None when it belongs to another argument."""
    root, steps = origin
    if isinstance(root, Instances):
        return origin
    return (given[0], given[1] + steps) if root == argument else None


def _note(found: dict[Instances, SegmentReads], place: Origin, everything: bool) -> None:
    root, steps = place
    if isinstance(root, str) or not root.name:
        return
    segment = found.setdefault(root, SegmentReads())
    if not steps:
        if everything:
            segment.whole = True
        return
    number, *rest = steps
    reads = segment.fields.setdefault(number, FieldReads())
    leaves = reads.first
    if rest and rest[0] == _ALL:
        leaves, rest = reads.every, rest[1:]
    rest = [step for step in rest if step != _ALL]
    component = rest[0] if rest else (EVERYTHING if everything else 1)
    deep = len(rest) > 1
    subcomponent = rest[1] if deep else (EVERYTHING if everything else 1)
    leaves.add((component, subcomponent))


def _is_group(root: Instances | str) -> bool:
    return isinstance(root, Instances) and not root.name


def _segments(name: str, within: frozenset[Origin] | None, *, first: bool) -> frozenset[Origin]:
    """Segments of the message, or as they are seen from the groups that ``within`` means."""
    if within is None:
        return frozenset({(Instances(name, first=first), ())})
    groups = {root.group for root, _ in within if isinstance(root, Instances) and not root.name}
    if not groups or "" in groups:  # groups of no structure, or what a map is given
        return frozenset({(Instances(name), ())})
    return frozenset((Instances(name, group, first), ()) for group in groups)


def _every(root: Instances | str, steps: tuple[int, ...]) -> Origin:
    if isinstance(root, str) or steps:
        return root, (*steps, _ALL)
    return Instances(root.name, root.group), ()


class _Walk:
    """Goes through the nodes of one body."""

    def __init__(self, body: _Body) -> None:
        self.body = body

    # --- nodes ----------------------------------------------------------------------------

    def node(self, node: Node, names: Names) -> None:
        match node:
            case Scalar():
                self.consume(self.scalar(node, names))
            case Sequence(items):
                for item in items:
                    self.node(item, names)
            case MappingNode():
                self.object(node, names)

    def object(self, node: MappingNode, names: Names) -> None:
        loop = node.get("$for")
        for one in loop.items if isinstance(loop, Sequence) else [loop] if loop else []:
            names = self.loop(one, names)
        let = node.get("$let")
        names = self.lets(let if isinstance(let, MappingNode) else None, names)
        for key, value in node.entries:
            match key.text:
                case "$for" | "$let" | "$if" | "$case" | "$with" | "$raise" | "$id":
                    continue
                case "$use" | "$refer" if isinstance(value, Scalar):
                    given = node.get("$with")
                    for name, argument in given.entries if isinstance(given, MappingNode) else ():
                        if isinstance(argument, Scalar):
                            self.give(value.text, name.text, self.scalar(argument, names))
                case "$of" if isinstance(value, MappingNode):
                    for _, branch in value.entries:
                        self.node(branch, names)
                case _:
                    self.node(value, names)

    def loop(self, node: Node, names: Names) -> Names:
        header = FOR_HEADER.match(node.text) if isinstance(node, Scalar) else None
        if header is None or not isinstance(node, Scalar):
            return names
        tree = parse_expression(node, _FORMAT, Diagnostics(), start=header.end())
        origins = _NOWHERE if tree is None else self.value(tree, names)
        here = {_HERE: origins} if any(_is_group(root) for root, _ in origins) else {}
        return {**names, header[1]: origins, **here}

    def lets(self, let: MappingNode | None, names: Names) -> Names:
        for key, value in let.entries if let is not None else ():
            if isinstance(value, Scalar):
                names = {**names, key.text: self.scalar(value, names)}
        return names

    def scalar(self, scalar: Scalar, names: Names) -> frozenset[Origin]:
        if not is_expression(scalar.text) and not scalar.text.startswith("$"):
            return _NOWHERE
        tree = parse_expression(scalar, _FORMAT, Diagnostics())
        return _NOWHERE if tree is None else self.value(tree, names)

    # --- expressions ------------------------------------------------------------------------

    def value(self, tree: Expr, names: Names) -> frozenset[Origin]:
        """Where the value comes from, when it comes as it is."""
        match tree:
            case Segment(name):
                return _segments(name, names.get(_HERE), first=True)
            case GroupName(name):
                return frozenset({(Instances("", name), ())})
            case Variable(name):
                return names.get(name, _NOWHERE)
            case Path():
                return self.path(tree, names)
            case Call():
                return self.call(tree, names)
            case Required(operand):
                return self.value(operand, names)
            case Operation("??", left, right):
                return self.value(left, names) | self.value(right, names)
            case Operation(operator, left, right) if operator in _ARITHMETIC:
                self.consume(self.value(left, names) | self.value(right, names))
            case Negative(operand):
                self.consume(self.value(operand, names))
        return _NOWHERE

    def path(self, path: Path, names: Names) -> frozenset[Origin]:
        origins = self.value(path.root, names)
        for step in path.steps:
            match step:
                case Number(number):
                    origins = frozenset(
                        (root, (*steps, number)) for root, steps in origins if not _is_group(root)
                    )
                case Every():
                    origins = frozenset(_every(root, steps) for root, steps in origins)
                case Name(name) if name.isupper() and len(name) == 3:
                    origins = _segments(name, origins, first=True) if origins else _NOWHERE
                case Name(name) if name.isupper():
                    origins = frozenset({(Instances("", name), ())}) if origins else _NOWHERE
                case Index(1):
                    pass
                case _:
                    origins = _NOWHERE
        return origins

    def call(self, call: Call, names: Names) -> frozenset[Origin]:
        arguments = call.arguments
        if call.name in ("each", "refer") and len(arguments) > 1:
            wanted = arguments[1]
            if isinstance(wanted, Literal) and isinstance(wanted.value, str):
                for number, argument in enumerate((arguments[0], *arguments[2:])):
                    self.give(wanted.value, number, self.value(argument, names))
            return _NOWHERE
        if call.name == "group":
            return _GROUP
        if call.name in _TESTING:
            return _NOWHERE
        if call.name == "when":
            return self.value(arguments[0], names)
        if call.name in _PASSING:
            return _NOWHERE.union(*(self.value(argument, names) for argument in arguments))
        for argument in arguments:
            self.consume(self.value(argument, names), everything=call.name == "text")
        return _NOWHERE

    def consume(self, origins: Iterable[Origin], *, everything: bool = False) -> None:
        self.body.read.update((origin, everything) for origin in origins)

    def give(self, name: str, argument: int | str, origins: Iterable[Origin]) -> None:
        self.body.given.update((name, argument, origin) for origin in origins)
