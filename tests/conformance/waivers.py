"""What a connector is excused from, and why.

A key is a connector's name with either a role that has no binding yet (``source``,
``destination``) or the id of a promise it breaks (``S8``).  `test_bindings` fails for a waiver that
nothing needs; a promise that is waived and kept fails too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WAIVERS: Final[Mapping[tuple[str, str], str]] = {}
