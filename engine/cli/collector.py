"""Python's garbage collector in an engine process: out of the way of messages."""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 1_000


def spare_the_collector() -> None:
    """Once, when everything is loaded.  What was loaded stays for ever, so cycles are not looked
    for in it again, and what a message leaves is mostly freed without the collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
