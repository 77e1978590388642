"""Names of code systems and assigning authorities as URIs, as FHIR wants them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from engine.mapping.functions.signature import function

_URI: Final = re.compile(r"(?:urn|https?|oid|uuid):\S+", re.IGNORECASE)
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*)){2,}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TABLE: Final = re.compile(r"HL7-?(\d{4})", re.IGNORECASE)


@function(
    examples=[
        ("coding_system_uri('HL70136')", "http://terminology.hl7.org/CodeSystem/v2-0136"),
        ("coding_system_uri('2.16.840.1.113883.6.1')", "urn:oid:2.16.840.1.113883.6.1"),
        ("coding_system_uri('urn:oid:1.2')", "urn:oid:1.2"),
        ("coding_system_uri('99 LAB')", "urn:id:99%20LAB"),
    ]
)
def coding_system_uri(name: str) -> str | None:
    """The URI of a code system: a table of HL7 (HL7nnnn), an OID, a UUID, a URI as it is. Any
    other name becomes `urn:id:NAME`, so that it is kept and no two are mixed up."""
    return _uri_of(name)


@function(
    examples=[
        ("authority_uri('HOSP', '1.2.840.1', 'ISO')", "urn:oid:1.2.840.1"),
        ("authority_uri('HOSP', 'his.example.org', 'DNS')", "urn:dns:his.example.org"),
        ("authority_uri('1.2.840.1')", "urn:oid:1.2.840.1"),
        ("authority_uri('HOSP')", "urn:id:HOSP"),
        ("authority_uri(first([]), 'X1', 'L')", "urn:id:X1"),
    ]
)
def authority_uri(
    namespace: str | None, universal_id: str | None = None, kind: str | None = None
) -> str | None:
    """The URI of an assigning authority (HD): its universal id by type (ISO, UUID, DNS, URI),
    which is the same everywhere, otherwise its local name as `urn:id:NAME`."""
    return _authority(namespace, universal_id, kind)


@lru_cache(maxsize=4096)
def _authority(namespace: str | None, universal_id: str | None, kind: str | None) -> str | None:
    known = (kind or "").strip().upper()
    if universal_id and universal_id.strip():
        found = _uri_of(universal_id)
        if known == "DNS" and found is not None and found.startswith("urn:id:"):
            return f"urn:dns:{found[7:]}"
        plain = found is not None and not found.startswith("urn:id:")
        if plain or known == "URI" or not namespace:
            return found
    return _uri_of(namespace) if namespace else None


@lru_cache(maxsize=4096)
def _uri_of(name: str) -> str | None:
    name = " ".join(name.split())
    if not name:
        return None
    if _OID.fullmatch(name):
        return f"urn:oid:{name}"
    if _UUID.fullmatch(name):
        return f"urn:uuid:{name.lower()}"
    if table := _TABLE.fullmatch(name):
        return f"http://terminology.hl7.org/CodeSystem/v2-{table[1]}"
    if _URI.fullmatch(name):
        return name
    return f"urn:id:{quote(name, safe='')}"
