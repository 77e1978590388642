"""``python -m engine.guide --tables DIR --mappings mappings``: write the library of segment maps
anew, and the complete mappings that are put together from it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.guide.composing import compose_all, message_summary
from engine.guide.library import Coverage, Library, build

LIBRARY = "lib/v2"
FOLDERS = ("datatypes", "segments", "codesystems")


def read_tables(folder: Path) -> dict[str, dict[str, str]]:
    """The CSV files of the guide by folder and name.  Raises OSError."""
    return {
        name: {path.name: path.read_text("utf-8") for path in sorted((folder / name).glob("*.csv"))}
        for name in FOLDERS
    }


def read_messages(folder: Path) -> dict[str, str]:
    """The message tables by the name of their file.  Raises OSError."""
    paths = sorted((folder / "messages").glob("*.csv"))
    return {path.name: path.read_text("utf-8") for path in paths}


def write(library: Library, out: Path) -> None:
    for name, text in library.files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def summary(coverage: Mapping[str, Coverage], *, left: bool) -> str:
    """A table of what became of the rows; with ``left``, each row that is left out."""
    lines = [f"{'':<10} {'rows':>6} {'compiled':>9} {'by hand':>8} {'narrative':>10} {'left':>5}"]
    for kind, found in coverage.items():
        done = found.compiled + found.by_hand
        share = done / max(1, found.rows - found.narrative)
        lines.append(
            f"{kind:<10} {found.rows:>6} {found.compiled:>9} {found.by_hand:>8}"
            f" {found.narrative:>10} {len(found.left):>5}   {share:.1%} without narrative"
        )
    if left:
        for found in coverage.values():
            for label, one in found.left:
                lines.append(f"{label} {one.row.source} → {one.row.target}: {one.reason}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.guide", description=__doc__)
    parser.add_argument(
        "--tables", type=Path, required=True, help="the guide's folder of CSV files"
    )
    parser.add_argument("--mappings", type=Path, required=True, help="the project's mappings")
    parser.add_argument("--left", action="store_true", help="list the rows that are left out")
    given = parser.parse_args(arguments)
    library = build(read_tables(given.tables))
    write(library, given.mappings / LIBRARY)
    print(summary(library.coverage, left=given.left))
    composed = compose_all(read_messages(given.tables), given.mappings)
    for one in composed:
        (given.mappings / f"{one.name}.yaml").write_text(one.text, "utf-8")
    print(message_summary(composed, left=given.left))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
