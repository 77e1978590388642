"""``schema:`` of a mapping's ``from:`` and ``to:``: an XSD, or a WSDL with its schemas.

Documents must keep to it; paths and output are held against it when the mapping is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from engine.contract import Document
from engine.formats.xml import XML_FORMATS, XmlDocument, content_of
from engine.formats.xml.declarations import Declarations
from engine.formats.xml.schema import XmlSchema
from engine.formats.xml.wsdl import Read
from engine.mapping.failures import failed
from engine.mapping.namespaces import known_namespaces, path_namespaces, read_namespaces
from engine.mapping.xsd_outputs import OutputChecker
from engine.mapping.xsd_paths import PathChecker
from engine.syntax import Diagnostics, Mapping, Position, Scalar

_HELP: Final = "an XSD or WSDL below mappings/: schema: schemas/order.xsd"


@dataclass(frozen=True, slots=True)
class Checked:
    """A compiled schema and the line that names it."""

    schema: XmlSchema
    place: Position

    def check(self, root: Any, code: str, what: str) -> None:
        """Raises MappingError with the first finding; of SOAP the content of the body counts."""
        content = content_of(root)
        findings = () if content is None else self.schema.validate(content)
        if content is None:
            raise failed(code, str(self.place), f"{what} is an empty envelope")
        if findings:
            first = findings[0]
            more = f"; {len(findings)} findings in all" if len(findings) > 1 else ""
            where = f" at {first.place}" if first.place else ""
            raise failed(code, str(self.place), f"{what}{where}: {first.problem}{more}")


@dataclass(frozen=True, slots=True)
class Schemas:
    """Those of one mapping; None where it names none."""

    source: Checked | None = None
    target: Checked | None = None
    digest: str = ""
    """A hash of all their files."""

    def check_source(self, document: Document) -> None:
        """Raises MappingError (R405)."""
        if self.source is not None and isinstance(document, XmlDocument):
            self.source.check(document.value, "R405", "the document")

    def check_target(self, root: Any) -> None:
        """Raises MappingError (R406)."""
        if self.target is not None:
            self.target.check(root, "R406", "the output")


def read_schemas(root: Mapping, attached: Read, diagnostics: Diagnostics) -> Schemas:
    """Both schemas of a mapping file; what cannot be used is M155, and what the mapping reads or
    writes against them M156 to M159."""
    digest = sha256()

    def reading(path: str) -> bytes | None:
        found = attached(path)
        digest.update(found or b"")
        return found

    source = _read(root, "from", reading, diagnostics)
    target = _read(root, "to", reading, diagnostics)
    if source is not None:
        _check_paths(root, _Side(root, "from", attached), diagnostics)
    if target is not None:
        _check_output(root, _Side(root, "to", attached), diagnostics)
    return Schemas(source, target, digest.hexdigest() if source or target else "")


class _Side:
    """``from:`` or ``to:`` of a mapping whose schema can be used."""

    def __init__(self, root: Mapping, side: str, attached: Read) -> None:
        self.format = _text(root, side, "format")
        self.declarations = Declarations(_text(root, side, "schema"), attached)
        node = root.get(side)
        given = node.get("namespaces") if isinstance(node, Mapping) else None
        self.namespaces = read_namespaces(given, self.format, Diagnostics())


def _check_paths(root: Mapping, source: _Side, diagnostics: Diagnostics) -> None:
    namespaces = path_namespaces(source.format, source.namespaces)
    checker = PathChecker(source.declarations, source.format, namespaces, _maps(root), diagnostics)
    out = root.get("out")
    if out is not None:
        checker.mapping(root.get("let"), out)


def _check_output(root: Mapping, target: _Side, diagnostics: Diagnostics) -> None:
    namespaces = known_namespaces(target.format, target.namespaces)
    out = root.get("out")
    if out is not None:
        OutputChecker(target.declarations, namespaces, _maps(root), diagnostics).document(out)


def _maps(root: Mapping) -> dict[str, Mapping]:
    maps = root.get("maps")
    entries = maps.entries if isinstance(maps, Mapping) else ()
    return {key.text: value for key, value in entries if isinstance(value, Mapping)}


def _text(root: Mapping, side: str, key: str) -> str:
    node = root.get(side)
    given = node.get(key) if isinstance(node, Mapping) else None
    return given.text if isinstance(given, Scalar) else ""


def _read(root: Mapping, side: str, attached: Read, diagnostics: Diagnostics) -> Checked | None:
    node = root.get(side)
    given = node.get("schema") if isinstance(node, Mapping) else None
    if given is None or not isinstance(node, Mapping):
        return None
    format = node.get("format")
    if not isinstance(format, Scalar) or format.text not in XML_FORMATS:
        diagnostics.at("M155", given, "only xml, soap and cda have a schema", help="remove it")
        return None
    if not isinstance(given, Scalar):
        diagnostics.at("M155", given, "'schema' is the path of one file", help=_HELP)
        return None
    try:
        return Checked(XmlSchema.attached(given.text, attached), given.position)
    except ValueError as error:
        diagnostics.at("M155", given, str(error), help=_HELP)
        return None
