"""What a file of unknown origin is, by its first bytes: for tools that are given files, not
channels.

Byte order marks, UTF-16 and UTF-32, blank lines and left-over MLLP framing are looked through.
Nothing is parsed: a payload that only looks like its format is refused when it is read.
"""

from __future__ import annotations

import re
from typing import Final

from engine.formats.errors import format_error

CDA_NAMESPACE: Final = "urn:hl7-org:v3"
_LOOK: Final = 64 * 1024
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_FRAGMENTS: Final = (
    "recordTarget", "component", "section", "entry", "act", "observation", "organizer",
    "procedure", "encounter", "supply", "substanceAdministration",
)  # fmt: skip
"""Parts of CDA documents that are passed on alone, often without their namespace."""
_TELLING: Final = re.compile(
    r"2\.16\.840\.1\.113883\.|<(?:patientRole|originalText|entryRelationship)\b"
)
"""HL7's object identifiers, or elements that only HL7 v3 has."""
_BLANK: Final = " \t\r\n\x0b\x1c\x00\ufeff"
_HL7: Final = re.compile(r"(?:MSH|FHS|BHS)[^A-Za-z0-9\s]")
_ROOT: Final = re.compile(
    r"(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>\[]*(?:\[.*?\])?\s*>|\s)*"
    r"<(?:([\w.-]+):)?([\w.-]+)((?:\s+[^\s=>]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*/?>",
    re.DOTALL,
)


def detect(body: bytes) -> str:
    """The name of a format: hl7v2, fhir, json, cda, soap or xml.

    Raises FormatError (FORMAT-UNKNOWN) for anything else.
    """
    text = _start(body)
    if _HL7.match(text):
        return "hl7v2"
    if text.startswith(("{", "[")):
        key = '"resourceType"'
        return "fhir" if key in text or key.encode() in body else "json"
    if text.startswith("<"):
        name, namespace = root_element(text)
        if namespace == CDA_NAMESPACE or name == "ClinicalDocument":
            return "cda"
        if not namespace and name in _FRAGMENTS and _TELLING.search(text):
            return "cda"
        return "soap" if name == "Envelope" else "xml"
    raise format_error("FORMAT-UNKNOWN")


def root_element(text: str) -> tuple[str, str]:
    """Local name and namespace of the root of an XML text; empty texts when there is none."""
    found = _ROOT.match(text)
    if found is None:
        return "", ""
    prefix, name, attributes = found.groups()
    wanted = f"xmlns:{prefix}" if prefix else "xmlns"
    declared = re.search(rf"\s{re.escape(wanted)}\s*=\s*([\"'])(.*?)\1", attributes, re.DOTALL)
    return name, declared[2].strip() if declared else ""


def _start(body: bytes) -> str:
    """The first characters, from the first that says something."""
    head = body[:_LOOK]
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(codec, "ignore").lstrip(_BLANK)
    bare = head.lstrip(b" \t\r\n\x0b\x1c")
    for codec, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        first = bare[:width]
        letter = first[0 if codec.endswith("le") else width - 1 :][:1]
        if len(first) == width and first.count(0) == width - 1 and letter != b"\0":
            return bare.decode(codec, "ignore").lstrip(_BLANK)
    # ASCII is all that matters here, and it is the same in every other set.
    return head.decode("latin-1").lstrip(_BLANK)
