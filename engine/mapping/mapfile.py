"""The parts of a mapping file, read but not yet compiled.

A file with ``out:`` is a mapping; one without is a library of maps and tables for ``import:``.
"""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from engine.formats.delimited import Layout
from engine.formats.xml import XML_FORMATS
from engine.mapping.headers import header_of
from engine.mapping.layouts import LAYOUT_KEYS, read_layout
from engine.mapping.namespaces import path_namespaces, read_namespaces
from engine.mapping.overlays import overlaid
from engine.mapping.program import PARAMETER_TYPES
from engine.mapping.tablefiles import with_table_files
from engine.mapping.tables import Table, read_table
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.library import Library

SOURCES: Final = ("hl7v2", "json", "fhir", *XML_FORMATS, "delimited", "astm")
TARGETS: Final = ("hl7v2", "json", "fhir", *XML_FORMATS, "delimited", "astm")
_KEYS: Final = (
    "mapping", "description", "from", "to", "import", "params", "let", "out", "maps", "tables",
)  # fmt: skip
_FROM: Final = (
    "format", "message", "messages", "version", "versions", "resource", "type", "event", "root",
    "when", "priority", "namespaces", "schema", *LAYOUT_KEYS,
)  # fmt: skip
_TO: Final = (
    "format", "message", "version", "resource", "type", "namespaces", "schema", "types",
    *LAYOUT_KEYS,
)  # fmt: skip
_MAP: Final = ("args", "type", "let", "key", "out", "description")


@dataclass(frozen=True, slots=True)
class MapDefinition:
    name: str
    arguments: tuple[Scalar, ...]
    out: Node
    key: Scalar
    format: str | None  # the format its paths are written for; None: that of who imports it
    let: Mapping | None = None
    identity: tuple[Scalar, ...] = ()
    """``key:``, what tells its resource from others when something refers to it."""
    type: Scalar | None = None  # the FHIR type that it gives
    namespaces: Dictionary[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class MapFile:
    """What a mapping file says.  Anything wrong in it is already a diagnostic."""

    name: str
    root: Mapping
    source: str | None = None
    target: str | None = None
    source_namespaces: Dictionary[str, str] = field(default_factory=dict)
    """All that paths may use, by prefix."""
    target_namespaces: Dictionary[str, str] = field(default_factory=dict)
    """Those that are declared; they are written on the root."""
    messages: tuple[str, ...] = ()
    """The message structures that it says it reads."""
    source_layout: Layout = field(default_factory=Layout)
    target_layout: Layout = field(default_factory=Layout)
    """Of a delimited source and target."""
    version: str = ""
    """The version of HL7 v2 that it says it reads."""
    imports: tuple[Scalar, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    let: Mapping | None = None
    out: Node | None = None
    maps: dict[str, MapDefinition] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    table_keys: dict[str, Scalar] = field(default_factory=dict)
    bases: tuple[str, ...] = ()
    """What it extends; empty for most files."""
    hiding: frozenset[tuple[str, str]] = frozenset()
    """Its maps and tables that stand for imported ones of the same name: (``maps``, name)."""
    _digest: str = ""

    @property
    def digest(self) -> str:
        """A hash of what it says, its bases included and its imports not."""
        if not self._digest:
            self._digest = sha256(canonical(self.root).encode()).hexdigest()
        return self._digest


def canonical(node: Node) -> str:
    """The content without comments, layout and places."""
    if isinstance(node, Scalar):
        return repr((node.text, node.quoted))
    if isinstance(node, Sequence):
        return f"[{','.join(map(canonical, node.items))}]"
    return "{" + ",".join(f"{key.text!r}:{canonical(value)}" for key, value in node.entries) + "}"


def read_file(
    root: Node,
    name: str,
    library: Library,
    diagnostics: Diagnostics,
    *,
    only_imported: bool = False,
) -> MapFile | None:
    """`read_map_file` of a file with what it extends, and the rows of its tables' files."""
    root = with_table_files(root, library.attachment, diagnostics)
    found = overlaid(root, name, library, diagnostics) if isinstance(root, Mapping) else None
    if found is None:
        return None if isinstance(root, Mapping) else read_map_file(root, name, diagnostics)
    file = read_map_file(found.root, name, diagnostics, library=only_imported)
    if file is not None:
        file.bases, file.hiding = found.bases, frozenset(found.hiding)
        for taken, format in found.formats.items():
            if taken in file.maps:
                file.maps[taken] = replace(file.maps[taken], format=format)
    return file


def read_map_file(
    root: Node, name: str, diagnostics: Diagnostics, *, library: bool = False
) -> MapFile | None:
    """The parts of a file; None when it is no mapping at all.  ``name`` is the file's."""
    if not isinstance(root, Mapping):
        diagnostics.at("M001", root, "a mapping file is a YAML mapping", help="mapping: NAME …")
        return None
    found = MapFile(name, root)
    for key, _ in root.entries:
        if key.text not in _KEYS:
            diagnostics.at(
                "M002",
                key,
                f"unknown key '{key.text}'",
                help=did_you_mean(key.text, _KEYS),
            )
    given = root.get("mapping")
    if isinstance(given, Scalar) and name and given.text != name:
        diagnostics.at(
            "M005",
            given,
            f"the mapping is called '{given.text}', its file '{name}'",
            help=f"write 'mapping: {name}'",
        )
    header_of(root, name, diagnostics)
    found.source = _format(root, "from", _FROM, SOURCES, diagnostics, wanted=not library)
    found.target = _format(root, "to", _TO, TARGETS, diagnostics, wanted=not library)
    found.source_namespaces = path_namespaces(
        found.source, read_namespaces(_inside(root, "from"), found.source, diagnostics)
    )
    found.target_namespaces = read_namespaces(_inside(root, "to"), found.target, diagnostics)
    found.source_layout = read_layout(root.get("from"), found.source, diagnostics)
    found.target_layout = read_layout(root.get("to"), found.target, diagnostics)
    found.messages = _messages(root.get("from"))
    found.version = _text(root.get("from"), "version")
    found.imports = _names(root.get("import"), "import", diagnostics)
    found.parameters = _parameters(root.get("params"), diagnostics)
    found.let = _section(root, "let", diagnostics)
    found.out = root.get("out")
    if found.out is None and not library:
        position = root.entries[0][0].position if root.entries else root.position
        diagnostics.add("M003", position, "'out' is missing", help="out: {…} is what is sent")
        return None
    maps = _section(root, "maps", diagnostics)
    for key, node in maps.entries if maps else ():
        definition = _map(key, node, found, diagnostics)
        if definition is not None:
            found.maps[key.text] = definition
    tables = _section(root, "tables", diagnostics)
    for key, node in tables.entries if tables else ():
        table = read_table(key.text, node, diagnostics, key)
        if table is not None:
            found.tables[key.text] = table
            found.table_keys[key.text] = key
    return found


def fhir_version(root: Mapping) -> str | None:
    """Whose definitions the output is checked against: ``to: {version: …}``, R4 when only a
    resource is named, or in a library; None when it is not checked."""
    text = _of_target(root, "version")
    if text is None:
        return "R4" if "out" not in root or "resource" in _keys_of_target(root) else None
    if text.startswith(("R4", "4")):
        return "R4"
    return "R5" if text.startswith(("R5", "5")) else None


def target_resource(root: Mapping) -> str | None:
    """``to: {resource: Bundle}``."""
    return _of_target(root, "resource")


def target_version(root: Mapping) -> str:
    """``to: {format: hl7v2, version: 2.5.1}``; empty when it is not said."""
    return (_of_target(root, "version") or "") if _of_target(root, "format") == "hl7v2" else ""


def target_types(root: Mapping) -> tuple[tuple[Scalar, Scalar], ...]:
    """``to: {types: {XTN: PhoneTo28}}``: what ``$copy`` makes of a field of an HL7 v2 datatype."""
    to = root.get("to")
    given = to.get("types") if isinstance(to, Mapping) else None
    entries = given.entries if isinstance(given, Mapping) else ()
    return tuple((key, value) for key, value in entries if isinstance(value, Scalar))


def _keys_of_target(root: Mapping) -> tuple[str, ...]:
    to = root.get("to")
    return to.keys() if isinstance(to, Mapping) else ()


def _of_target(root: Mapping, key: str) -> str | None:
    to = root.get("to")
    found = to.get(key) if isinstance(to, Mapping) else None
    return found.text if isinstance(found, Scalar) else None


def _format(
    root: Mapping,
    side: str,
    keys: tuple[str, ...],
    known: tuple[str, ...],
    diagnostics: Diagnostics,
    *,
    wanted: bool,
) -> str | None:
    node = root.get(side)
    if node is None:
        if wanted:
            diagnostics.add(
                "M003",
                root.position,
                f"'{side}' is missing",
                help=f"{side}: {{format: {known[0]}}}",
            )
        return None
    if not isinstance(node, Mapping):
        diagnostics.at("M001", node, f"'{side}' is a mapping", help=f"{side}: {{format: hl7v2}}")
        return None
    for key, _ in node.entries:
        if key.text not in keys:
            help = did_you_mean(key.text, keys)
            diagnostics.at("M002", key, f"unknown key '{key.text}' in '{side}'", help=help)
    format = node.get("format")
    if not isinstance(format, Scalar):
        diagnostics.at("M003", format or node, f"'{side}' has no format", help="format: hl7v2")
        return None
    if format.text not in known:
        diagnostics.at(
            "M004",
            format,
            f"'{format.text}' is no format that a mapping can "
            f"{'read' if side == 'from' else 'write'}",
            help=did_you_mean(format.text, known),
        )
        return None
    return format.text


def _text(node: Node | None, key: str) -> str:
    given = node.get(key) if isinstance(node, Mapping) else None
    return given.text if isinstance(given, Scalar) else ""


def _messages(node: Node | None) -> tuple[str, ...]:
    given = node.get("message") if isinstance(node, Mapping) else None
    several = given.items if isinstance(given, Sequence) else (given,)
    return tuple(one.text for one in several if isinstance(one, Scalar))


def _names(node: Node | None, what: str, diagnostics: Diagnostics) -> tuple[Scalar, ...]:
    if node is None:
        return ()
    if isinstance(node, Scalar):
        return (node,)
    if isinstance(node, Sequence) and all(isinstance(item, Scalar) for item in node.items):
        return tuple(item for item in node.items if isinstance(item, Scalar))
    diagnostics.at("M001", node, f"'{what}' is a list of names", help=f"{what}: [a, b]")
    return ()


def _section(root: Mapping, name: str, diagnostics: Diagnostics) -> Mapping | None:
    node = root.get(name)
    if node is None or isinstance(node, Mapping):
        return node
    if isinstance(node, Scalar) and not node.text:
        return None
    diagnostics.at("M001", node, f"'{name}' is a mapping of names")
    return None


def _parameters(node: Node | None, diagnostics: Diagnostics) -> dict[str, str]:
    found: dict[str, str] = {}
    if node is None:
        return found
    if not isinstance(node, Mapping):
        diagnostics.at("M001", node, "'params' is a mapping of names to types")
        return found
    for key, kind in node.entries:
        if isinstance(kind, Scalar) and kind.text in PARAMETER_TYPES:
            found[key.text] = kind.text
        else:
            known = ", ".join(PARAMETER_TYPES)
            diagnostics.at("M008", kind, "a parameter's type is wanted", help=f"one of {known}")
            found[key.text] = "text"
    return found


def _inside(root: Mapping, side: str) -> Node | None:
    node = root.get(side)
    return node.get("namespaces") if isinstance(node, Mapping) else None


def _map(key: Scalar, node: Node, file: MapFile, diagnostics: Diagnostics) -> MapDefinition | None:
    out = node.get("out") if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or out is None:
        diagnostics.at("M001", key, f"map '{key.text}' has no out", help="{args: [x], out: {…}}")
        return None
    for entry, _ in node.entries:
        if entry.text not in _MAP:
            help = did_you_mean(entry.text, _MAP)
            diagnostics.at("M002", entry, f"unknown key '{entry.text}' in a map", help=help)
    arguments = _names(node.get("args"), "args", diagnostics)
    identity = _names(node.get("key"), "key", diagnostics)
    let = _section(node, "let", diagnostics)
    kind = node.get("type")
    if kind is not None and not isinstance(kind, Scalar):
        diagnostics.at("M001", kind, "'type' is the name of a FHIR type", help="type: HumanName")
    return MapDefinition(
        key.text,
        arguments,
        out,
        key,
        file.source,
        let,
        identity,
        type=kind if isinstance(kind, Scalar) else None,
        namespaces=file.source_namespaces,
    )
