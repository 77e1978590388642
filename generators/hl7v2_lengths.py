"""Writes engine/formats/hl7v2/lengths.txt: the lengths of fields and components, HL7 2.1 to 2.7.

    npm pack hl7-dictionary@1.0.1 && tar xzf hl7-dictionary-1.0.1.tgz
    .venv/bin/python generators/hl7v2_lengths.py package

The source is hl7-dictionary (MIT), unpacked in the folder that is given.  A length is taken only
where hl7-dictionary and our own dictionary agree on the datatype, so a field that one of them
numbers in another way has none.  A line is a segment or a datatype (``=``), then for each of its
fields or components the lengths with the versions that have them::

    PID
     3 16@2.2 20@2.3-2.3.1 250@2.4-2.6
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hl7v2_dictionary import ranges

ROOT = Path(__file__).parents[1]
OUT = ROOT / "engine/formats/hl7v2/lengths.txt"
VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7")

Lengths = dict[str, dict[int, dict[int, list[str]]]]
"""Segment or datatype → number → length → versions."""


def table(file: Path) -> dict[str, Any]:
    """The one object that a file of hl7-dictionary assigns; it is written as JSON."""
    text = file.read_text("utf-8")
    found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def read(package: Path) -> Lengths:
    found: Lengths = {}
    for version in VERSIONS:
        folder = package / "lib" / version
        for name, segment in table(folder / "segments.js").items():
            put(found, name, segment["fields"], version)
        for name, datatype in table(folder / "fields.js").items():
            put(found, f"={name}", datatype.get("subfields", []), version)
    return found


def put(found: Lengths, name: str, parts: list[dict[str, Any]], version: str) -> None:
    from engine.formats.hl7v2.dictionary import components, defined, segment_fields

    ours = components(name[1:]) if name.startswith("=") else segment_fields(name)
    known = defined(ours, version)
    for number, part in enumerate(parts, 1):
        element = known.get(number)
        length = part.get("len")
        if length and element is not None and element.type == part["datatype"]:
            found.setdefault(name, {}).setdefault(number, {}).setdefault(length, []).append(version)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    lines = [
        "# The longest values of fields and components (=) of HL7 v2: length@versions.",
        "# Made by generators/hl7v2_lengths.py from hl7-dictionary 1.0.1 (MIT); do not edit.",
    ]
    for name, numbers in sorted(read(Path(sys.argv[1])).items()):
        lines.append(name)
        for number, lengths in sorted(numbers.items()):
            shown = " ".join(f"{length}@{ranges(held)}" for length, held in lengths.items())
            lines.append(f" {number} {shown}")
    OUT.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
