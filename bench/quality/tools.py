"""The two measuring programs of ``../shared/tools``, used where they are."""

from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from types import ModuleType
from typing import Final

from bench.quality.corpora import SHARED

# Other engines write many of these with one leaf each, and none tells much about a mapping.
ASIDE: Final = (
    "Organization", "Location", "Practitioner", "PractitionerRole", "Provenance", "Device",
)  # fmt: skip
CLASSES: Final = ("traced", "coded", "style")


def _load(name: str) -> ModuleType:
    path = SHARED / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"shared_{name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        sys.exit(f"{path} is not there: the pairs are compared with it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare: Final = _load("compare")
compare_v2: Final = _load("compare_v2")


def options() -> Namespace:
    """The defaults of compare.py."""
    ignored = ["https://reportstream.cdc.gov/", "https://g.co/fhir/", "http://ibm.com/fhir/"]
    return Namespace(
        refs="ignore", ignore_ext=ignored, ignore_resource=[], alias=True, ignore_tz=False,
        fold=False, reftype={},
    )  # fmt: skip


IGNORED_V2: Final = frozenset({"MSH-7", "MSH-10", "SFT", "MSH-2"})
"""The default of compare_v2.py."""
