"""``make mapping-report``: all of it into docs/mapping-quality.md, or with ONLY= a look at a part.

make mapping-report ONLY=microsoft-v2 TOP=40          # a corpus, a direction, or part of an id
make mapping-report ONLY="inventory v2->fhir" TOP=40  # each word must be in it
make mapping-report PAIR=rs/obx/OBX-to-Observation-obx-5
    make mapping-report MESSAGES=adt TOP=40   # validity and ledger of the messages
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.quality.corpora import ROOT, Pair, read_pairs
from bench.quality.measuring import measure
from bench.quality.outputs import convert_all
from bench.quality.quick import show, show_messages, show_pair
from bench.quality.report import FILE, write
from engine.mapping import Converter


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="words that a pair's corpus, direction, id have")
    parser.add_argument("--top", type=int, default=25, help="how many paths to list")
    parser.add_argument("--pair", default="", help="the values of the pair with this id")
    parser.add_argument("--messages", help="validity and ledger of those with this in their path")
    given = parser.parse_args(arguments)
    if given.messages is not None:
        show_messages(convert_all(Converter(ROOT / "mappings"), given.messages.split()), given.top)
        return 0
    words = (given.only or given.pair).split()
    chosen = [pair for pair in read_pairs() if all(word in _text(pair) for word in words)]
    if not chosen:
        print(f"no pair has {given.only!r} in its corpus, direction or id", file=sys.stderr)
        return 1
    converter = Converter(ROOT / "mappings")
    measured = [measure(pair, converter) for pair in chosen]
    if not words:
        plain = [measure(pair.plain(), converter) for pair in chosen if pair.overlay]
        write(measured, plain, convert_all(converter))
        print(f"{FILE.relative_to(ROOT)} is written")
    elif given.pair:
        for one in measured:
            show_pair(one)
    else:
        show(measured, given.top)
    return 0


def _text(pair: Pair) -> str:
    return f"{pair.corpus} {pair.direction} {pair.id}"


if __name__ == "__main__":
    sys.exit(main())
