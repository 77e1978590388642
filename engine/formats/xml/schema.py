"""W3C XML Schema (XSD 1.0): a document against a schema of the project, or those of a WSDL."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Final, Self

from lxml import etree

from engine.formats.findings import Finding
from engine.formats.xml.texts import place_of
from engine.formats.xml.wsdl import Read, parser, unfolding

_MOST: Final = 200
_ROOT: Final = "carebus:/"
_PROBLEMS: Final = {
    "SCHEMAV_ELEMENT_CONTENT": "an element is missing, or one stands where none may",
    "SCHEMAV_CVC_ELT_1": "the schema does not declare this element",
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_1": "an attribute is not allowed",
    "SCHEMAV_CVC_COMPLEX_TYPE_3_2_2": "an attribute is not allowed",
    "SCHEMAV_CVC_COMPLEX_TYPE_4": "a required attribute is missing",
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_1": "the value does not have the type of the schema",
    "SCHEMAV_CVC_ENUMERATION_VALID": "the value is not one of those that the schema lists",
    "SCHEMAV_CVC_PATTERN_VALID": "the value does not have the form that the schema wants",
}


class XmlSchema:
    """A compiled schema.  Files that it includes lie beside it; nothing comes from the network.

    Raises ValueError when the file is no schema.  The log of findings is the schema's: of two
    threads that check at once each knows whether its document is wrong, but may name the other's
    place.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._schema = etree.XMLSchema(etree.parse(path, parser()))
        except (OSError, etree.LxmlError) as error:
            raise ValueError(f"not a usable XML Schema ({type(error).__name__})") from None

    @classmethod
    def attached(cls, path: str, read: Read) -> Self:
        """A schema whose files ``read`` gives by their paths; those that it includes or imports
        are below its own folder.

        Raises ValueError: a file is not there, outside the folder, or no schema.
        """
        made = cls.__new__(cls)
        made._schema = _compiled(path, read)
        return made

    def validate(self, root: Any) -> tuple[Finding, ...]:
        """What is wrong with an element tree."""
        if self._schema.validate(root):
            return ()
        log = self._schema.error_log
        found = [(entry.path or "", _problem(entry.type_name)) for entry in log[:_MOST]]
        whole = deepcopy(root).getroottree()  # the places count from here, wherever the root was
        return tuple(Finding(_place(whole, path), problem) for path, problem in found) or (
            Finding("", "breaks the schema"),
        )


def _compiled(path: str, read: Read) -> etree.XMLSchema:
    files = _Files(path, unfolding(read))
    reading = parser()
    reading.resolvers.add(files)
    try:
        root = etree.fromstring(files.content(_ROOT + path), reading, base_url=_ROOT + path)
        return etree.XMLSchema(root)
    except etree.LxmlError as error:
        problem = f"{files.refused} cannot be read" if files.refused else type(error).__name__
        raise ValueError(f"not a usable XML Schema ({problem})") from None


class _Files(etree.Resolver):  # type: ignore[misc]
    """Every file of a schema comes from here: what it does not give is not looked for elsewhere."""

    def __init__(self, path: str, read: Read) -> None:
        super().__init__()
        self._folder = _ROOT + path[: path.rfind("/") + 1]
        self._read = read
        self.refused = ""

    def content(self, url: str) -> bytes:
        name = url.removeprefix(_ROOT)
        found = self._read(name) if url.startswith(self._folder) else None
        if found is None or b"<!DOCTYPE" in found:
            self.refused = self.refused or f"'{name}'"
            raise ValueError(f"not a usable XML Schema ('{name}' cannot be read)")
        return found

    def resolve(self, system_url: str, public_id: str, context: Any) -> Any:
        return self.resolve_string(self.content(system_url), context, base_url=system_url)


def _place(whole: Any, path: str) -> str:
    """The log counts elements (``/*/*[2]``) where there is a default namespace, and writes the
    document's own prefixes elsewhere; people want names."""
    known = {prefix: uri for one in whole.iter("*") for prefix, uri in one.nsmap.items() if prefix}
    try:
        found = whole.xpath(path, namespaces=known) if path else []
    except etree.XPathError:
        found = []  # a prefix that means one thing here and another there
    return place_of(found[0]) if found else path


def _problem(name: str) -> str:
    if name in _PROBLEMS:
        return _PROBLEMS[name]
    return f"breaks the schema ({name.removeprefix('SCHEMAV_').lower()})"
