"""What an XML Schema declares, to be asked about without a document: elements, what stands in
them, and their attributes (XSD 1.0 part 1).

What cannot be told from the schema alone is *open*: wildcards, ``xs:anyType``.  An element may say
another type in the document (``xsi:type``), so a type has the content of those derived from it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from posixpath import join, normpath
from typing import Any, Final

from lxml import etree

from engine.formats.xml.names import XS
from engine.formats.xml.wsdl import Read, parser, unfolding

_PARTICLES: Final = frozenset({"sequence", "choice", "all"})
_MOST_NESTED: Final = 50


@dataclass(frozen=True, slots=True)
class Declared:
    """An element: its tag (``{uri}name``), and what says its type."""

    tag: str
    node: Any = field(repr=False)
    space: str = field(repr=False)
    """The target namespace of the schema it stands in."""

    @property
    def name(self) -> str:
        return self.tag.rpartition("}")[2]


@dataclass(frozen=True, slots=True)
class Child:
    """An element's place in another one."""

    declared: Declared
    required: bool
    many: bool
    position: int | None
    """Children stand in the order of their positions, in any order where those are equal; None for
    one that may stand in several places."""
    stands_for: str
    """The tag that the schema names here: of a substitution group, its head's."""


@dataclass(slots=True)
class Content:
    """What may stand in an element."""

    children: dict[str, Child] = field(default_factory=dict)
    attributes: dict[str, bool] = field(default_factory=dict)
    """Their names, and whether they are required."""
    text: bool = False
    open: bool = False
    """Other elements, too."""
    open_attributes: bool = False

    def is_anything(self) -> None:
        self.open = self.open_attributes = self.text = True

    def add(self, child: Child) -> None:
        before = self.children.get(child.declared.tag)
        if before is None:
            self.children[child.declared.tag] = child
            return
        required = before.required or child.required
        self.children[child.declared.tag] = Child(
            before.declared, required, True, None, before.stands_for
        )


class Declarations:
    """Those of a schema and of all that it includes and imports."""

    def __init__(self, path: str, read: Read) -> None:
        """``read`` gives files by their paths.  What it does not give is left out: whether the
        schema is whole is what compiling it tells."""
        self._named: dict[tuple[str, str], tuple[Any, str]] = {}
        self._contents: dict[Any, Content] = {}
        self._derived: dict[str, list[tuple[Any, str]]] = {}
        self._members: dict[str, list[Declared]] = {}
        self._redefined: set[str] = set()
        self._schemas: set[tuple[str, str]] = set()
        self._load(path, None, unfolding(read))
        self.roots = {
            name: Declared(name, node, space)
            for (kind, name), (node, space) in self._named.items()
            if kind == "element"
        }
        for declared in self.roots.values():
            head = declared.node.get("substitutionGroup")
            if head:
                tag = _clark(declared.node, head, declared.space)
                self._members.setdefault(tag, []).append(declared)

    def content(self, declared: Declared) -> Content:
        """What may stand in an element of this declaration."""
        found = self._contents.get(declared.node)
        if found is None:
            found = self._contents[declared.node] = Content()
            self._element(declared, found)
        return found

    # --- reading ------------------------------------------------------------------------

    def _load(self, path: str, space: str | None, read: Read) -> None:
        """``space`` is that of the including schema, for one that has none."""
        raw = read(path)
        if raw is None or (path, space or "") in self._schemas:
            return
        self._schemas.add((path, space or ""))
        root = etree.fromstring(raw, parser())
        own = root.get("targetNamespace") or space or ""
        for node in root.iterchildren(etree.Element):
            kind = _kind(node)
            place = node.get("schemaLocation")
            if kind in ("include", "import", "redefine") and place:
                below = normpath(join(path.rpartition("/")[0], place))
                self._load(below, None if kind == "import" else own, read)
            for one in node.iterchildren(etree.Element) if kind == "redefine" else ():
                self._redefined.add(_in(own, one.get("name", "")))
            if node.get("name"):
                self._declare(node, _in(own, node.get("name")), own)

    def _declare(self, node: Any, name: str, space: str) -> None:
        kind = "type" if _kind(node) in ("complexType", "simpleType") else _kind(node)
        self._named[kind, name] = (node, space)
        for derived in node.iterfind(f"{{{XS}}}complexContent/*"):
            base = derived.get("base")
            if base:
                self._derived.setdefault(_clark(node, base, space), []).append((node, space))

    # --- types --------------------------------------------------------------------------

    def _element(self, declared: Declared, into: Content) -> None:
        node, space = declared.node, declared.space
        inline = next(node.iterchildren(f"{{{XS}}}complexType", f"{{{XS}}}simpleType"), None)
        name = node.get("type")
        if inline is not None:
            self._type(inline, space, into, 0)
        elif name is not None:
            self._typed(_clark(node, name, space), into, 0)
            self._derivations(_clark(node, name, space), into, 0)
        elif node.get("substitutionGroup"):
            head = self.roots.get(_clark(node, node.get("substitutionGroup"), space))
            if head is not None:
                self._element(head, into)
        else:
            into.is_anything()

    def _typed(self, name: str, into: Content, depth: int) -> None:
        known = self._named.get(("type", name))
        if name in self._redefined or depth > _MOST_NESTED:
            into.is_anything()
        elif known is not None:
            self._type(*known, into, depth)
        elif name == f"{{{XS}}}anyType" or not name.startswith(f"{{{XS}}}"):
            into.is_anything()
        else:
            into.text = True

    def _derivations(self, name: str, into: Content, depth: int) -> None:
        """What ``xsi:type`` may bring: optional, wherever it stands."""
        for node, space in self._derived.get(name, ()) if depth < _MOST_NESTED else ():
            other = Content()
            self._type(node, space, other, depth + 1)
            for tag, child in other.children.items():
                if tag not in into.children:
                    into.add(Child(child.declared, False, child.many, None, child.stands_for))
            into.attributes.update(dict.fromkeys(other.attributes.keys() - into.attributes, False))
            into.open |= other.open
            into.open_attributes |= other.open_attributes
            into.text |= other.text
            own = node.get("name")
            if own:
                self._derivations(_in(space, own), into, depth + 1)

    def _type(self, node: Any, space: str, into: Content, depth: int) -> None:
        if _kind(node) == "simpleType":
            into.text = True
            return
        into.text |= node.get("mixed") in ("true", "1")
        content = next(node.iterchildren(f"{{{XS}}}complexContent", f"{{{XS}}}simpleContent"), None)
        if content is None:
            self._body(node, space, into, depth)
            return
        into.text |= _kind(content) == "simpleContent" or content.get("mixed") in ("true", "1")
        for derived in content.iterchildren(f"{{{XS}}}extension", f"{{{XS}}}restriction"):
            base = Content()
            self._typed(_clark(derived, derived.get("base", ""), space), base, depth + 1)
            restricted = _kind(derived) == "restriction" and _kind(content) == "complexContent"
            into.attributes.update(base.attributes)
            into.open_attributes |= base.open_attributes
            if not restricted:
                into.children.update(base.children)
                into.open |= base.open
                into.text |= base.text
            self._body(derived, space, into, depth)

    def _body(self, node: Any, space: str, into: Content, depth: int) -> None:
        """The particles and attributes directly in a type, an extension or a group."""
        for child in node.iterchildren(etree.Element):
            kind = _kind(child)
            if kind in _PARTICLES or kind == "group":
                positions = (one.position for one in into.children.values())
                start = max((one for one in positions if one is not None), default=-1) + 1
                self._particle(child, space, into, _Place(start), depth)
            elif kind == "attribute":
                self._attribute(child, space, into)
            elif kind == "attributeGroup":
                known = self._named.get((kind, _clark(child, child.get("ref", ""), space)))
                if known is not None and depth < _MOST_NESTED:
                    self._body(*known, into, depth + 1)
                into.open_attributes |= (
                    _clark(child, child.get("ref", ""), space) in self._redefined
                )
            elif kind == "anyAttribute":
                into.open_attributes = True

    def _attribute(self, node: Any, space: str, into: Content) -> None:
        name = node.get("name")
        if name is None:
            name = _clark(node, node.get("ref", ""), space)
        elif _qualified(node, "attribute"):
            name = _in(space, name)
        if node.get("use") == "prohibited":
            into.attributes.pop(name, None)
        else:
            into.attributes[name] = node.get("use") == "required"

    def _particle(self, node: Any, space: str, into: Content, place: _Place, depth: int) -> None:
        """A sequence, choice or all, a group of them, an element or a wildcard."""
        kind = _kind(node)
        inner = place.within(node, kind)
        if kind == "any":
            into.open = True
        elif kind == "element":
            self._child(node, space, into, inner)
        elif kind == "group" and node.get("ref") and depth < _MOST_NESTED:
            name = _clark(node, node.get("ref"), space)
            known = self._named.get((kind, name))
            into.open |= name in self._redefined or known is None
            if known is not None:
                for child in known[0].iterchildren(etree.Element):
                    self._particle(child, known[1], into, inner, depth + 1)
        elif kind in _PARTICLES:
            for child in node.iterchildren(etree.Element):
                self._particle(child, space, into, inner, depth)
        place.position = max(place.position, inner.position)
        if not place.fixed:
            place.position += 1

    def _child(self, node: Any, space: str, into: Content, place: _Place) -> None:
        name, ref = node.get("name"), node.get("ref")
        if ref is not None:
            tag = _clark(node, ref, space)
            declared = self.roots.get(tag)
            several: Iterable[Declared] = self._standing_for(tag)
        else:
            tag = _in(space if _qualified(node, "element") else "", name or "")
            declared = Declared(tag, node, space)
            several = (declared,)
        if declared is None:
            into.open = True
            return
        for one in several:
            into.add(Child(one, place.required, place.many, place.position, tag))

    def _standing_for(self, tag: str, depth: int = 0) -> Iterator[Declared]:
        """An element and its substitution group."""
        if tag in self.roots:
            yield self.roots[tag]
        for member in self._members.get(tag, ()) if depth < _MOST_NESTED else ():
            yield from self._standing_for(member.tag, depth + 1)


@dataclass(slots=True)
class _Place:
    """Where in a content model a particle stands."""

    position: int
    required: bool = True
    many: bool = False
    fixed: bool = False
    """Nothing inside has an order."""

    def within(self, node: Any, kind: str) -> _Place:
        many = self.many or node.get("maxOccurs", "1") not in ("0", "1")
        return _Place(
            self.position,
            self.required and node.get("minOccurs", "1") != "0" and kind != "choice",
            many,
            self.fixed or kind in ("choice", "all") or many,
        )


def _kind(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _clark(node: Any, name: str, space: str) -> str:
    """``{uri}local`` of a name in a schema; one without a prefix, where no default namespace is
    declared, is of the including schema's namespace when the schema itself has none."""
    prefix, _, local = name.rpartition(":")
    uri = node.nsmap.get(prefix or None)
    if uri is None and not prefix:
        uri = "" if node.getroottree().getroot().get("targetNamespace") else space
    return _in(uri or "", local)


def _in(space: str, name: str) -> str:
    return f"{{{space}}}{name}" if space else name


def _qualified(node: Any, kind: str) -> bool:
    form = node.get("form") or node.getroottree().getroot().get(f"{kind}FormDefault")
    return bool(form == "qualified")
