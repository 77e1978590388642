"""W3C XML Schema (XSD 1.0): a document against a schema of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lxml import etree

from engine.formats.findings import Finding

_MOST: Final = 200
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

    Raises ValueError when the file is no schema.  One check at a time.
    """

    def __init__(self, path: Path) -> None:
        parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)
        try:
            self._schema = etree.XMLSchema(etree.parse(path, parser))
        except (OSError, etree.LxmlError) as error:
            raise ValueError(f"not a usable XML Schema ({type(error).__name__})") from None

    def validate(self, root: Any) -> tuple[Finding, ...]:
        """What is wrong with an element tree."""
        if self._schema.validate(root):
            return ()
        log = self._schema.error_log
        return tuple(Finding(entry.path or "", _problem(entry.type_name)) for entry in log[:_MOST])


def _problem(name: str) -> str:
    if name in _PROBLEMS:
        return _PROBLEMS[name]
    return f"breaks the schema ({name.removeprefix('SCHEMAV_').lower()})"
