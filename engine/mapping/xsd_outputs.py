"""The tree that a mapping writes as XML against the schema that ``to:`` names.

Wrong whatever a message holds: an element or attribute that the schema does not have there (M157),
one that is required and that no line gives (M158).  Children in another order than the schema's,
and several where one may stand, are warnings (M159): some of them may give nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engine.formats.xml.declarations import Content, Declarations, Declared
from engine.formats.xml.names import SOAP_11, SOAP_12, XML, XSI, UnknownPrefix, clark
from engine.formats.xml.writing import CONTENT, TEXT
from engine.mapping.fhir_shapes import alternatives, has_content
from engine.mapping.grammar import is_expression
from engine.syntax import Diagnostics, Node, Scalar, Sequence
from engine.syntax import Mapping as MappingNode
from engine.syntax.nearest import did_you_mean

_MOST_NESTED: Final = 60
_ELSEWHERE: Final = frozenset({"$raise", "$refer", "$copy"})


_BODIES: Final = (f"{{{SOAP_11}}}Body", f"{{{SOAP_12}}}Body")


class OutputChecker:
    """Checks the output of one mapping."""

    def __init__(
        self,
        declarations: Declarations,
        namespaces: Mapping[str, str],
        maps: Mapping[str, MappingNode],
        diagnostics: Diagnostics,
    ) -> None:
        self._declarations, self._namespaces = declarations, namespaces
        self._maps, self._diagnostics = maps, diagnostics
        self._said: set[str] = set()

    def document(self, out: Node) -> None:
        """The root, the envelope, or what stands in the body of an envelope."""
        for node in _parts(out, self._maps):
            for key, value in node.entries if isinstance(node, MappingNode) else ():
                tag = self._tag(key)
                if tag in (f"{{{SOAP_11}}}Envelope", f"{{{SOAP_12}}}Envelope", *_BODIES):
                    self.document(value)
                elif tag is not None and not tag.startswith((f"{{{SOAP_11}}}", f"{{{SOAP_12}}}")):
                    self._root(key, tag, value)

    def _root(self, key: Scalar, tag: str, value: Node) -> None:
        declared = self._declarations.roots.get(tag)
        if declared is not None:
            self._element(value, declared, 0)
            return
        names = [one.name for one in self._declarations.roots.values()]
        self._say("M157", key, f"the schema has no document '{key.text}'", _help(key, names))

    # --- elements -------------------------------------------------------------------------

    def _element(self, node: Node, declared: Declared, depth: int) -> None:
        if depth > _MOST_NESTED:
            return
        content = self._declarations.content(declared)
        for one in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(one, MappingNode):
                written = self._keys(one, declared, content, depth)
                if written is not None and (has_content(one) or written):
                    self._required(one, declared, content, written)
            elif isinstance(one, Scalar) and _is_text(one) and not content.text:
                self._say("M157", one, f"in the schema {declared.name} holds no text")

    def _keys(
        self, node: MappingNode, declared: Declared, content: Content, depth: int
    ) -> set[str] | None:
        """The tags and ``@names`` that may be written; None when that is not known."""
        written: set[str] = set()
        whole = not any(key.text in _ELSEWHERE for key, _ in node.entries)
        at, before = -1, ""
        for key, value in node.entries:
            name = key.text
            if name.startswith("$") or name == TEXT:
                continue
            if name == CONTENT:
                whole = False
                continue
            tag = self._tag(key)
            if tag is None:
                continue
            written.add(f"@{tag}" if name.startswith("@") else tag)
            if name.startswith("@"):
                self._attribute(key, tag, declared, content)
                continue
            child = content.children.get(tag)
            if child is None:
                self._unknown(key, declared, content)
                continue
            written.add(child.stands_for)
            if child.position is not None:
                if child.position < at:
                    self._say(
                        "M159", key, f"in the schema {child.declared.name} stands before {before}"
                    )
                else:
                    at, before = child.position, child.declared.name
            if isinstance(value, Sequence) and len(value.items) > 1 and not child.many:
                self._say(
                    "M159", key, f"in the schema {declared.name} has one {child.declared.name}"
                )
            self._element(value, child.declared, depth + 1)
        for part in _merged(node, self._maps):
            below = (
                self._keys(part, declared, content, depth + 1)
                if isinstance(part, MappingNode) and depth < _MOST_NESTED
                else None
            )
            whole = whole and below is not None
            written |= below or set()
        return written if whole else None

    def _required(
        self, node: MappingNode, declared: Declared, content: Content, written: set[str]
    ) -> None:
        place = node.entries[0][0] if node.entries else node
        for tag, child in content.children.items():
            if child.required and tag == child.stands_for and tag not in written:
                self._say("M158", place, f"in the schema {declared.name} needs {_local(tag)}")
        for name, required in content.attributes.items():
            if required and f"@{name}" not in written:
                self._say("M158", place, f"in the schema {declared.name} needs @{_local(name)}")

    def _unknown(self, key: Scalar, declared: Declared, content: Content) -> None:
        if not content.open:
            names = [one.declared.name for one in content.children.values()]
            problem = f"in the schema {declared.name} has no element '{key.text}'"
            self._say("M157", key, problem, _help(key, names))

    def _attribute(self, key: Scalar, name: str, declared: Declared, content: Content) -> None:
        free = content.open_attributes or name.startswith((f"{{{XSI}}}", f"{{{XML}}}"))
        if not free and name not in content.attributes:
            names = [_local(one) for one in content.attributes]
            problem = f"in the schema {declared.name} has no attribute '{key.text[1:]}'"
            self._say("M157", key, problem, _help(key, names))

    def _tag(self, key: Scalar) -> str | None:
        """None for a directive, a text, or a prefix that nobody declared."""
        if key.text.startswith(("$", "#")):
            return None
        attribute = key.text.startswith("@")
        try:
            return clark(key.text.removeprefix("@"), self._namespaces, attribute=attribute)
        except UnknownPrefix:
            return None

    def _say(self, code: str, node: Node, problem: str, help: str | None = None) -> None:
        said = f"{node.position} {problem}"
        if said not in self._said:
            self._said.add(said)
            self._diagnostics.at(code, node, problem, help=help)


def _merged(node: MappingNode, maps: Mapping[str, MappingNode]) -> Iterator[Node]:
    """What directives put beside the keys of an object, alternatives one after the other; a map of
    another file is its name."""
    yield from alternatives(node)
    used = node.get("$use")
    if isinstance(used, Scalar):
        definition = maps.get(used.text)
        out = None if definition is None else definition.get("out")
        yield used if out is None else out


def _parts(node: Node, maps: Mapping[str, MappingNode], depth: int = 0) -> Iterator[Node]:
    yield node
    if isinstance(node, MappingNode) and depth < _MOST_NESTED:
        for part in _merged(node, maps):
            yield from _parts(part, maps, depth + 1)


def _help(key: Scalar, names: list[str]) -> str | None:
    local = key.text.removeprefix("@").rpartition(":")[2]
    if local in names:
        return "its namespace is another one: declare the schema's under namespaces: of to:"
    return did_you_mean(local, names)


def _is_text(scalar: Scalar) -> bool:
    return bool(scalar.text) and not is_expression(scalar.text)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
