"""The connectors that the installed packages offer, by entry point (``carebus.connectors``).

Our own come through the same door.  A package that fails is reported by name and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from engine.contract import API_VERSION, NAME_PATTERN, ConnectorSpec
from engine.syntax import Diagnostic, Diagnostics, Position

GROUP: Final = "carebus.connectors"

# What importing somebody else's module can raise; a bug of its own is its distribution's problem.
_IMPORT_ERRORS: Final = (
    ImportError,
    AttributeError,
    NameError,
    TypeError,
    ValueError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
)


def find_connectors(
    found: Iterable[EntryPoint] | None = None,
) -> tuple[Mapping[str, ConnectorSpec], tuple[Diagnostic, ...]]:
    """Every usable connector by name, and what is wrong with the others.

    A name that two distributions offer is refused: neither is used.
    """
    diagnostics = Diagnostics()
    offers: dict[str, dict[str, EntryPoint]] = {}
    for offer in entry_points(group=GROUP) if found is None else found:
        # A package that is installed twice (in place, and built) offers the same thing twice.
        offers.setdefault(offer.name, {})[offer.value] = offer
    connectors: dict[str, ConnectorSpec] = {}
    for name, rivals in sorted(offers.items()):
        if len(rivals) > 1:
            sellers = ", ".join(sorted(_distribution(rival) for rival in rivals.values()))
            diagnostics.add(
                "C127", _place(name), f"several packages offer the connector '{name}': {sellers}"
            )
            continue
        (offer,) = rivals.values()
        spec = _load(offer, diagnostics)
        if spec is not None:
            connectors[name] = spec
    return MappingProxyType(connectors), diagnostics.items


def _load(offer: EntryPoint, diagnostics: Diagnostics) -> ConnectorSpec | None:
    try:
        spec = offer.load()
    except _IMPORT_ERRORS as error:
        problem = f"importing {offer.value} failed: {type(error).__name__}: {error}"
    else:
        if not isinstance(spec, ConnectorSpec):
            problem = f"{offer.value} is no ConnectorSpec"
        elif spec.api != API_VERSION:
            problem = f"it is made for contract {spec.api}, and this is {API_VERSION}"
        elif spec.name != offer.name or not NAME_PATTERN.match(spec.name):
            problem = f"it is offered as '{offer.name}' and calls itself '{spec.name}'"
        else:
            return spec
    diagnostics.add("C126", _place(offer.name), f"{_distribution(offer)}: {problem}")
    return None


def _distribution(offer: EntryPoint) -> str:
    return offer.dist.name if offer.dist is not None else offer.module


def _place(name: str) -> Position:
    return Position(f"<connector {name}>", 1, 1)
