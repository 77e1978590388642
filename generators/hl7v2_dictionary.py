"""Writes engine/formats/hl7v2/dictionary.txt: segments, fields and datatypes of HL7 2.1 to 2.8.2.

    .venv/bin/python generators/hl7v2_dictionary.py

The source is hl7apy (MIT).  A line without indentation is a segment or a datatype; below it stand
its fields or components, one line for each way in which some versions define it::

    PID
     3 2.3.1-2.8.2 CX R* - Patient identifier list

number, versions, datatype, R (required) or O and * (repeats), table, name.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

VERSIONS = (
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2",
)  # fmt: skip
OUT = Path(__file__).parents[1] / "engine/formats/hl7v2/dictionary.txt"

Definition = tuple[str, str, str, str]
"""Datatype, R or O with *, table, name."""


def read() -> dict[str, dict[int, dict[str, Definition]]]:
    """Segment or datatype → number → version → definition."""
    found: dict[str, dict[int, dict[str, Definition]]] = {}
    for version in VERSIONS:
        module: Any = importlib.import_module(f"hl7apy.v{version.replace('.', '_')}")
        for name, segment in module.SEGMENTS.items():
            if segment[0] == "sequence" and len(segment) > 1 and len(name) == 3:
                for child in segment[1]:
                    put(found, name, version, child, module.FIELDS[child[0]])
        for name, components in module.DATATYPES_STRUCTS.items():
            if components is not None:
                for child in components:
                    put(found, f"={name}", version, child, module.DATATYPES[child[0]])
    return found


def put(
    found: dict[str, dict[int, dict[str, Definition]]],
    name: str,
    version: str,
    child: Any,
    described: Any,
) -> None:
    number = int(child[0].rpartition("_")[2])
    least, most = child[2]
    sort = described[2] or "-"
    table = (described[4] or "-") if len(described) > 4 else "-"
    words = str(described[3] or "-").replace("_", " ").strip().capitalize()
    flags = ("R" if least else "O") + ("*" if most != 1 else "")
    definition = (sort, flags, table.removeprefix("HL7"), words)
    found.setdefault(name, {}).setdefault(number, {})[version] = definition


def ranges(versions: list[str]) -> str:
    """``2.3-2.5.1,2.7``."""
    numbers = [VERSIONS.index(version) for version in versions]
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(
        VERSIONS[part[0]] if len(part) == 1 else f"{VERSIONS[part[0]]}-{VERSIONS[part[-1]]}"
        for part in parts
    )


def main() -> None:
    lines = [
        "# The segments, fields and datatypes (=) of HL7 v2 in all versions.",
        "# Made by generators/hl7v2_dictionary.py from hl7apy (MIT); do not edit.",
    ]
    for name, numbers in sorted(read().items()):
        lines.append(name)
        for number, definitions in sorted(numbers.items()):
            alike: dict[Definition, list[str]] = {}
            for version, definition in definitions.items():
                # Only the wording of a name changes all the time: the latest is shown.
                key = (*definition[:3], "")
                alike.setdefault(key, []).append(version)
            for key, versions in alike.items():
                words = definitions[versions[-1]][3]
                lines.append(f" {number} {ranges(versions)} {' '.join(key[:3])} {words}")
    OUT.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
