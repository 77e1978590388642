"""Fields and components as paths from variables, and the guide's conditions as tests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from engine.formats.fhir.definitions import Definitions
from engine.guide.conditions import Among, Both, Condition, Counted, Not, Valued
from engine.guide.patches import Left
from engine.guide.rows import GuideMap, Row, word
from engine.guide.spelling import listed, quoted, tight
from engine.guide.text import Out
from engine.guide.vocabulary import Vocabulary

SIMPLE: Final = frozenset(
    ["ST", "TX", "FT", "ID", "IS", "NM", "SI", "DT", "TM", "DTM", "TS", "GTS", "SNM", "String"]
)
_REF: Final = re.compile(r"(?P<head>[A-Z][A-Z0-9]+)(?:[-.](?P<path>\d+(?:\.\d+)*))?$")
_JOINED: Final = re.compile(
    r'\s*(?:"(?P<text>[^"]*)"|(?P<ref>[A-Z][A-Z0-9]{1,2}[-.]\d+(?:\.\d+)?))'
)
_DATATYPES: Final = frozenset(
    [
        "CNE",
        "CNN",
        "CWE",
        "DLD",
        "DLN",
        "DTM",
        "EIP",
        "MSG",
        "NDL",
        "PLN",
        "RPT",
        "SAD",
        "SPS",
        "XAD",
        "XCN",
        "XON",
        "XPN",
        "XTN",
    ]
)


class Unable(ValueError):
    """What keeps a rule from being compiled; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Env:
    """What is known at a place: repetitions with a name, sources that have a value, conditions
    that hold."""

    bound: dict[str, str] = field(default_factory=dict)
    sure: frozenset[str] = frozenset()
    some: frozenset[str] = frozenset()  # at least one of these has a value
    assumed: frozenset[Condition] = frozenset()


@dataclass(slots=True)
class Made:
    """A map of the mapping language."""

    name: str
    args: list[str]
    out: Out
    comments: list[str] = field(default_factory=list)
    key: Out = ""
    guard: str = ""


class Sources:
    """One map of the guide: its arguments, and how a row's source is read."""

    def __init__(
        self, map: GuideMap, maps: dict[str, GuideMap], fhir: Definitions, codes: Vocabulary
    ) -> None:
        self.map, self.maps, self.fhir, self.codes = map, maps, fhir, codes
        self.args: list[str] = [map.source.lower()]
        self.below: list[Made] = []
        self.left: list[Left] = []
        self.compiled: set[int] = set()
        self.failed: set[int] = set()
        self.used_names: set[str] = set()

    def need(self, arg: str) -> None:
        if arg not in self.args:
            self.args.append(arg)

    def path(self, ref: str, row: Row, env: Env) -> str:
        """A field or component as a path from a variable.  Raises Unable."""
        found = _REF.match(ref)
        if found is None:
            raise Unable(f"'{ref}' is no field")
        head, path = found["head"], found["path"] or ""
        if head == self.map.source and not self.is_segment:
            whole = head in SIMPLE and path in ("", "1")
            arg = self.args[0]
            return f"${arg}" if whole or not path else f"${arg}.{path}"
        if self.is_segment and head == row.datatype and head != self.map.source:
            return f"{self.path(row.source, row, env)}.{path}"
        if not self.is_segment:
            if self.map.source in ("CF", "NDL") or head in SIMPLE:
                arg = self.args[0]
                return f"${arg}.{path}" if head not in SIMPLE else f"${arg}"
            raise Unable(f"{ref} is not part of {self.map.source}")
        if head == "MSG":
            self.need("msh")
            return f"$msh.9.{path}"
        field = f"{head}-{path.split('.')[0]}"
        if field in env.bound:
            rest = path.split(".")[1:]
            return ".".join([env.bound[field], *rest])
        if head != self.map.source:
            self.need(head.lower())
        return f"${head.lower()}.{path}" if path else f"${head.lower()}"

    @property
    def is_segment(self) -> bool:
        return len(self.map.source) == 3 and self.map.source not in _DATATYPES

    def there(self, ref: str, row: Row, env: Env) -> str:
        """Whether a source has a value: a path alone asks for its first part."""
        path = self.path(ref, row, env)
        depth = ref.replace("-", ".").count(".")
        simple = (
            row.datatype in SIMPLE if ref == row.source else depth > (1 if self.is_segment else 0)
        )
        return path if simple else f"exists({path})"

    def variable(self, row: Row) -> str:
        kind = row.datatype.lower()
        name = kind if re.fullmatch(r"[a-z][a-z0-9]{1,3}", kind) else "value"
        return name if name not in self.args else f"{name}_value"

    def test(self, condition: Condition, row: Row, env: Env) -> str:
        match condition:
            case Valued(ref):
                return self.there(ref, row, env)
            case Not(Valued(ref)):
                return f"not {self.there(ref, row, env)}"
            case Not(Among(ref, (code,), "")):
                return f"{self.path(ref, row, env)} != {quoted(code)}"
            case Not(Among(ref, codes, "")):
                return f"{self.path(ref, row, env)} not in {listed(codes)}"
            case Not(part):
                return f"not ({self.test(part, row, env)})"
            case Among(ref, (), other):
                return f"{self.path(ref, row, env)} == {self.path(other, row, env)}"
            case Among(ref, (code,)):
                return f"{self.path(ref, row, env)} == {quoted(code)}"
            case Among(ref, codes):
                return f"{self.path(ref, row, env)} in {listed(codes)}"
            case Counted(ref, "length", operator, number):
                return f"length({self.path(ref, row, env)}) {operator} {number}"
            case Counted(ref, _, operator, number):
                return f"count({self.path(ref, row, env)}[*]) {operator} {number}"
            case Both(parts, "and"):
                return " and ".join(tight(self.test(part, row, env)) for part in parts)
            case Both(parts):
                return " or ".join(self.test(part, row, env) for part in parts)
        raise Unable("no such condition")

    def joined(self, row: Row, env: Env) -> str | None:
        """``HD.1+" - "+HD.2`` as concat(); None when the text is something else."""
        text = re.sub(r"\s*\+\s*", "+", row.assignment)
        if "/" in text and not re.search(r'"[^"]*/[^"]*"', text):
            return None
        parts: list[str] = []
        at = 0
        while at < len(text):
            found = _JOINED.match(text, at)
            if found is None:
                return None
            parts.append(
                quoted(found["text"])
                if found["text"] is not None
                else self.path(found["ref"], row, env)
            )
            at = found.end()
            if at < len(text):
                if text[at] != "+":
                    return None
                at += 1
        if not parts or all(part.startswith("'") for part in parts):
            return None
        if len(parts) == 1:
            return parts[0]
        few = sum(not part.startswith("'") for part in parts) <= 2  # a half says nothing
        return f"concat{'_all' if few else ''}({', '.join(parts)})"

    def map_named(self, label: str) -> str:
        """``PL[location]`` → ``PL_Location``.  Raises Unable."""
        name = word(label).lower()
        for known in self.maps:
            if known.lower() == name:
                return known
        raise Unable(f"there is no map {label}")
