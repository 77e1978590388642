"""Paths into XML against the schema that ``from:`` names: elements and attributes that no document
can have, since each is checked against that schema before it is mapped (M156).

The YAML is walked once, beside the declarations of what each path finds; a map of the same file is
followed where it is given an element.  Of what comes from elsewhere nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from engine.formats.xml.declarations import Child, Declarations, Declared
from engine.formats.xml.names import SOAP_11, SOAP_12, XML, XSI, UnknownPrefix, clark, element_tags
from engine.mapping.ast import (
    Attribute,
    Call,
    Expr,
    Item,
    Literal,
    Name,
    Operation,
    Path,
    Required,
    Step,
    Top,
    Variable,
    Where,
    children,
)
from engine.mapping.grammar import is_expression, parse_expression
from engine.mapping.loops import FOR_HEADER
from engine.syntax import Diagnostics, Node, Scalar, Sequence
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean

Elements: TypeAlias = tuple[Declared, ...] | None
"""What a path may have found; None where that is not known, and nothing can be checked."""
Names: TypeAlias = Mapping[str, Elements]

_GIVEN_ON: Final = frozenset(
    "list first last default skip take unique without sort reverse_list flatten try when".split()  # noqa: SIM905
)
"""Functions that give values on as they are; their first argument counts."""
_CONDITIONS: Final = frozenset({"$if", "$case"})
_MOST_MAPS: Final = 500


class PathChecker:
    """Checks the expressions of one file."""

    def __init__(
        self,
        declarations: Declarations,
        format: str,
        namespaces: Mapping[str, str],
        maps: Mapping[str, MappingNode],
        diagnostics: Diagnostics,
    ) -> None:
        self._declarations, self._format, self._namespaces = declarations, format, namespaces
        self._maps, self._diagnostics = maps, diagnostics
        self._seen: set[tuple[str, str, tuple[str, ...]]] = set()
        self._said: set[str] = set()

    def mapping(self, let: Node | None, out: Node) -> None:
        """``let:`` and ``out:`` of the mapping."""
        roots = tuple(self._declarations.roots.values())
        names: Names = {} if self._format == "soap" else {"src": roots}
        self._node(out, self._lets(let, names))

    # --- nodes ----------------------------------------------------------------------------

    def _node(self, node: Node, names: Names) -> None:
        match node:
            case Scalar():
                self._scalar(node, names)
            case Sequence(items):
                for item in items:
                    self._node(item, names)
            case MappingNode():
                self._object(node, names)

    def _object(self, node: MappingNode, names: Names) -> None:
        loop = node.get("$for")
        for one in loop.items if isinstance(loop, Sequence) else [loop] if loop else []:
            names = self._loop(one, names)
        names = self._lets(node.get("$let"), names)
        given = node.get("$with")
        for key, value in node.entries:
            if key.text in ("$for", "$let", "$with", "$id", "$raise"):
                continue
            if key.text in ("$use", "$refer") and isinstance(value, Scalar):
                for name, argument in given.entries if isinstance(given, MappingNode) else ():
                    if isinstance(argument, Scalar):
                        self._give(value.text, name.text, self._scalar(argument, names))
            elif key.text in _CONDITIONS and isinstance(value, Scalar):
                self._scalar(value, names, bare=True)
            else:
                self._node(value, names)

    def _loop(self, node: Node, names: Names) -> Names:
        header = FOR_HEADER.match(node.text) if isinstance(node, Scalar) else None
        if header is None or not isinstance(node, Scalar):
            return names
        tree = parse_expression(node, self._format, Diagnostics(), start=header.end())
        return {**names, header[1]: None if tree is None else self._value(tree, names, node)}

    def _lets(self, let: Node | None, names: Names) -> Names:
        for key, value in let.entries if isinstance(let, MappingNode) else ():
            if isinstance(value, Scalar):
                names = {**names, key.text: self._scalar(value, names)}
        return names

    def _scalar(self, scalar: Scalar, names: Names, *, bare: bool = False) -> Elements:
        if not bare and not is_expression(scalar.text):
            return None
        tree = parse_expression(scalar, self._format, Diagnostics())
        return None if tree is None else self._value(tree, names, scalar)

    # --- expressions ------------------------------------------------------------------------

    def _value(self, tree: Expr, names: Names, at: Scalar, item: Elements = None) -> Elements:
        match tree:
            case Variable(name):
                return names.get(name)
            case Item():
                return item
            case Path():
                return self._path(tree, names, at, item)
            case Required(operand):
                return self._value(operand, names, at, item)
            case Operation("??", left, right):
                one = self._value(left, names, at, item)
                other = self._value(right, names, at, item)
                return None if one is None or other is None else (*one, *other)
            case Call(name, arguments):
                values = [self._value(argument, names, at, item) for argument in arguments]
                if name in ("each", "refer") and len(arguments) > 1:
                    self._called(arguments, values)
                return values[0] if values and name in _GIVEN_ON and len(values) == 1 else None
        for inner in children(tree):
            self._value(inner, names, at, item)
        return None

    def _path(self, path: Path, names: Names, at: Scalar, item: Elements) -> Elements:
        steps = path.steps
        if isinstance(path.root, Top):
            found, steps = self._from_top(steps, at)
        else:
            found = self._value(path.root, names, at, item)
        for step in steps:
            match step:
                case Name():
                    found = self._below(found, step, at)
                case Attribute():
                    self._attribute(found, step, at)
                    found = None
                case Where(test):
                    self._value(test, names, at, found)
        return found

    def _from_top(self, steps: tuple[Step, ...], at: Scalar) -> tuple[Elements, tuple[Step, ...]]:
        """What the first steps find, and those behind them."""
        names = [step for step in steps if isinstance(step, Name)]
        tags = self._tags(names[0]) if names else ()
        if self._format == "soap" and _is_soap(tags, "Envelope"):
            if len(names) < 3 or not _is_soap(self._tags(names[1]), "Body"):
                return None, ()
            return self._root(names[2], at), steps[steps.index(names[2]) + 1 :]
        return (
            (self._root(names[0], at), steps[steps.index(names[0]) + 1 :]) if names else (None, ())
        )

    def _root(self, step: Name, at: Scalar) -> Elements:
        roots = self._declarations.roots
        tags = self._tags(step)
        if not tags or _is_soap(tags, "Fault"):
            return None
        found = tuple(one for tag, one in roots.items() if _means(tags, tag))
        if not found:
            names = [one.name for one in roots.values()]
            self._say(step, at, f"the schema has no document '{step.name}'", step.name, names)
        return found or None

    def _below(self, elements: Elements, step: Name, at: Scalar) -> Elements:
        tags = self._tags(step)
        if elements is None or not tags:
            return None
        contents = [self._declarations.content(one) for one in elements]
        inside: list[Child] = [child for one in contents for child in one.children.values()]
        found = {
            child.declared.node: child.declared
            for child in inside
            if _means(tags, child.declared.tag)
        }
        if any(one.open for one in contents):
            return None
        if not found:
            problem = f"in the schema {_shown(elements)} has no element '{step.name}'"
            self._say(step, at, problem, step.name, [one.declared.name for one in inside])
        return tuple(found.values()) or None

    def _attribute(self, elements: Elements, step: Attribute, at: Scalar) -> None:
        if elements is None:
            return
        try:
            name = clark(step.name, self._namespaces, attribute=True)
        except UnknownPrefix:
            return
        contents = [self._declarations.content(one) for one in elements]
        known = {attribute for one in contents for attribute in one.attributes}
        if any(one.open_attributes for one in contents) or name in known or _is_xml(name):
            return
        problem = f"in the schema {_shown(elements)} has no attribute '{step.name}'"
        self._say(step, at, problem, step.name, [one.rpartition("}")[2] for one in known])

    def _tags(self, step: Name) -> tuple[str, ...]:
        try:
            return element_tags(step.name, self._namespaces)
        except UnknownPrefix:
            return ()

    def _say(self, step: Step, at: Scalar, problem: str, name: str, known: Iterable[str]) -> None:
        place = at.at(step.start)
        if str(place) not in self._said:
            self._said.add(str(place))
            local = name.rpartition(":")[2]
            self._diagnostics.add(
                "M156",
                place,
                problem,
                length=max(1, step.end - step.start),
                help="its namespace is another one"
                if local in known
                else did_you_mean(local, set(known)),
            )

    # --- maps -------------------------------------------------------------------------------

    def _called(self, arguments: tuple[Expr, ...], values: list[Elements]) -> None:
        wanted = arguments[1]
        if isinstance(wanted, Literal) and isinstance(wanted.value, str):
            names = self._arguments(wanted.value)
            for name, value in zip(names, (values[0], *values[2:]), strict=False):
                self._give(wanted.value, name, value)

    def _arguments(self, name: str) -> list[str]:
        definition = self._maps.get(name)
        args = None if definition is None else definition.get("args")
        return (
            [one.text for one in args.items if isinstance(one, Scalar)]
            if isinstance(args, Sequence)
            else []
        )

    def _give(self, name: str, argument: str, value: Elements) -> None:
        definition = self._maps.get(name)
        if definition is None or value is None or argument not in self._arguments(name):
            return
        call = (name, argument, tuple(one.tag for one in value))
        out = definition.get("out")
        if call in self._seen or len(self._seen) >= _MOST_MAPS or out is None:
            return
        self._seen.add(call)
        self._node(out, self._lets(definition.get("let"), {argument: value}))


def _means(tags: tuple[str, ...], tag: str) -> bool:
    """Whether a name in a path (`element_tags`) means an element of this tag."""
    return any(
        one in ("*", tag) or (one.startswith("{*}") and tag.rpartition("}")[2] == one[3:])
        for one in tags
    )


def _is_soap(tags: tuple[str, ...], name: str) -> bool:
    return any(tag in (f"{{{SOAP_11}}}{name}", f"{{{SOAP_12}}}{name}") for tag in tags)


def _is_xml(name: str) -> bool:
    """Attributes that every element may have."""
    return name.startswith((f"{{{XSI}}}", f"{{{XML}}}"))


def _shown(elements: tuple[Declared, ...]) -> str:
    return " or ".join(dict.fromkeys(one.name for one in elements))
