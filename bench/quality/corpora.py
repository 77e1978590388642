"""The pairs of the manifest: what goes in, what somebody else's engine made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from bench.quality.sites import Overlay, overlay_of

ROOT: Final = Path(__file__).parents[2]
SHARED: Final = ROOT.parent / "shared"
CORPORA: Final = SHARED / "corpora"
WORK: Final = ROOT / "build/quality"

_FORMATS: Final = {"v2": "hl7v2", "fhir": "fhir", "cda": "cda", "cda-entry": "cda"}


@dataclass(frozen=True, slots=True)
class Pair:
    id: str
    corpus: str
    direction: str  # v2->fhir, fhir->v2, v2->fhir->v2, cda->fhir, cda-entry->fhir
    source: Path
    expected: Path
    site: str | None = None  # the site whose own transformation made what is expected
    overlay: Overlay | None = None  # the shipped overlay for such sites

    @property
    def steps(self) -> tuple[str, ...]:
        """The formats that it is converted to, one after the other."""
        return tuple(_FORMATS[step] for step in self.direction.split("->")[1:])

    @property
    def to(self) -> str:
        return self.steps[-1]

    @property
    def produced(self) -> Path:
        ending = ".hl7" if self.to == "hl7v2" else ".json"
        return WORK / self.direction.replace("->", "-to-") / f"{self.id}{ending}"

    @property
    def group(self) -> str:
        """What is reported together."""
        return f"{self.corpus} {self.direction}{' (with a site)' if self.site else ''}"

    def plain(self) -> Pair:
        """The same without the overlay."""
        return replace(self, overlay=None)


def read_pairs() -> list[Pair]:
    """Those of the manifest; one that was checked both ways is read both ways, and once there and
    back."""
    found: list[Pair] = []
    for row in json.loads((CORPORA / "manifest.json").read_bytes()):
        source, expected = CORPORA / row["input"], CORPORA / row["expected"]
        corpus, direction = row["corpus"], row["direction"]
        site = row.get("site_overlay")
        if direction == "v2<->fhir":
            found.append(Pair(row["id"], corpus, "v2->fhir", source, expected, site))
            found.append(Pair(row["id"], corpus, "fhir->v2", expected, source, site))
            found.append(Pair(row["id"], corpus, "v2->fhir->v2", source, source, site))
        elif direction == "fhir->v2":
            if source.suffix == ".hl7":  # named the other way round
                source, expected = expected, source
            overlay = overlay_of(row["id"], site)
            found.append(Pair(row["id"], corpus, direction, source, expected, site, overlay))
        else:
            found.append(Pair(row["id"], corpus, direction, source, _json(expected), site))
    return found


def messages() -> list[Path]:
    """Messages of many senders, with nothing to compare them to."""
    return sorted((CORPORA / "messages").rglob("*.hl7"))


def official_structures() -> frozenset[str]:
    """Those for which HL7 publishes a message map."""
    names = (CORPORA / "v2-to-fhir-maps/messages").glob("HL7_Message_-_FHIR_R4__*.csv")
    return frozenset(path.name.split("__")[1].split("_-_")[0] for path in names)


def _json(expected: Path) -> Path:
    """A FHIR XML file as JSON beside the other work: the comparison reads JSON only."""
    if expected.suffix != ".xml":
        return expected
    written = WORK / "expected" / f"{expected.stem}.json"
    written.parent.mkdir(parents=True, exist_ok=True)
    root = ElementTree.fromstring(expected.read_bytes())  # noqa: S314 - our own file
    written.write_text(json.dumps(_element(root)), "utf-8")
    return written


def _element(node: ElementTree.Element) -> Any:
    """FHIR R4 2.6.1 backwards.  What occurs once is no list here, which comparing does not mind."""
    name = node.tag.rpartition("}")[2]
    if name == "div":
        return "".join(node.itertext())
    inside = [child for child in node if name in ("resource", "contained")]
    if inside:
        return _element(inside[0])
    if len(node) == 0 and "value" in node.attrib:
        return _typed(node.attrib["value"])
    found: dict[str, Any] = {"resourceType": name} if name[:1].isupper() else {}
    if "url" in node.attrib:
        found["url"] = node.attrib["url"]
    for child in node:
        key, value = child.tag.rpartition("}")[2], _element(child)
        if key in found:
            if not isinstance(found[key], list):
                found[key] = [found[key]]
            found[key].append(value)
        else:
            found[key] = value
    return found


def _typed(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)
