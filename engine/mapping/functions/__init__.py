"""The functions of the mapping language, by subject, and how a hospital adds its own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType, ModuleType
from typing import Final

import engine.mapping.functions.chinese as chinese
import engine.mapping.functions.dates as dates
import engine.mapping.functions.durations as durations
import engine.mapping.functions.extensions as extensions
import engine.mapping.functions.identifiers as identifiers
import engine.mapping.functions.lists as lists
import engine.mapping.functions.markup as markup
import engine.mapping.functions.names as names
import engine.mapping.functions.narratives as narratives
import engine.mapping.functions.numbers as numbers
import engine.mapping.functions.phones as phones
import engine.mapping.functions.references as references
import engine.mapping.functions.systems as systems
import engine.mapping.functions.text as text
import engine.mapping.functions.units as units
from engine.mapping.functions.signature import NAME_OF_GROUP, Function

__all__ = ["BUILT_IN", "find_functions"]


def collect(*modules: ModuleType) -> dict[str, Function]:
    """The functions that modules define.  Raises ValueError when two have one name."""
    found: dict[str, Function] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Function) and value.call.__module__ == module.__name__:
                if value.name in found:
                    raise ValueError(f"two functions are called {value.name}")
                found[value.name] = value
    return found


BUILT_IN: Final[Mapping[str, Function]] = MappingProxyType(
    collect(
        text,
        lists,
        numbers,
        units,
        dates,
        durations,
        identifiers,
        systems,
        names,
        phones,
        references,
        extensions,
        markup,
        chinese,
        narratives,
    )
)


def find_functions() -> tuple[Mapping[str, Function], tuple[str, ...]]:
    """Built-in and installed functions (entry point group ``carebus.functions``, each a module),
    and what is wrong with those that were left out."""
    found = dict(BUILT_IN)
    problems: list[str] = []
    for entry in entry_points(group=NAME_OF_GROUP):
        try:
            module = entry.load()
            own = collect(module)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            problems.append(f"functions of {entry.value}: {type(error).__name__}: {error}")
            continue
        for name, function in own.items():
            if name in found:
                problems.append(f"functions of {entry.value}: {name} exists already")
            else:
                found[name] = function
    return MappingProxyType(found), tuple(problems)
