"""The guide's code maps as tables, and the maps that use them for concepts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from engine.formats.fhir.definitions import definitions
from engine.guide.rows import Code
from engine.guide.text import Lst, Obj, key, scalar, wrapped

V2: Final = "http://terminology.hl7.org/CodeSystem/v2-"
_FHIR: Final = re.compile(r"http://hl7\.org/fhir/[a-z-]+$")
_MANY: Final = 12

# What an unmapped code becomes where FHIR demands one of its own codes.
FALLBACKS: Final[Mapping[str, str]] = {
    "AdministrativeSex": "unknown",
    "ObservationResultStatusCodesInterpretation": "unknown",
    "PatientClass_EncounterStatus": "unknown",
    "ResultStatus_Non_Queries": "unknown",
}


# Tables of systems.yaml, for codes that the guide tells in prose.
BY_HAND: Final = frozenset({"DayOfWeek"})


# The v2 table of a field, where the guide names none.
SOURCES: Final[Mapping[str, str]] = {"PrimaryLanguage": "0296", "VIPIndicator": "0099"}

# The same codes in another edition of the code system: ISO 639-2 has three letters.
OTHER_CODES: Final[Mapping[str, Mapping[str, str]]] = {
    "PrimaryLanguage": {
        "ara": "ar", "ben": "bn", "ces": "cs", "cze": "cs", "dan": "da", "deu": "de", "ger": "de",
        "ell": "el", "gre": "el", "eng": "en", "spa": "es", "fin": "fi", "fra": "fr", "fre": "fr",
        "fry": "fy", "hin": "hi", "hrv": "hr", "ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl",
        "dut": "nl", "nor": "no", "pan": "pa", "pol": "pl", "por": "pt", "rus": "ru", "srp": "sr",
        "swe": "sv", "tel": "te", "zho": "zh", "chi": "zh",
    },
}  # fmt: skip


# The sender's own coding behind the one that a table gives.
OWN_CODING: Final = """\
  # The sender's own coding behind the one that a table gives (`known`): the same in the same words
  # is not said again, unless it is of another system than the table reads.
  CWE_OwnCoding:
    args: [code, words, system, version, known, read]
    let:
      same: = $known.code == $code and $known.system == $system
      alike: = lower($words) == lower($known.display) and ($system ?? $read) == $read
    out:
      $if: (exists($code) or exists($words)) and not $same and not $alike
      system: = $system
      version: = $version
      code: = $code | squeeze
      display: = $words
"""


class Vocabulary:
    """All tables by name.  `concepts` are the maps that were asked for."""

    def __init__(self, tables: Mapping[str, tuple[Code, ...]]) -> None:
        self.tables = tables
        self._rows = {name: _rows(codes) for name, codes in tables.items()}
        for name, others in OTHER_CODES.items():
            rows = self._rows.get(name, {})
            self._rows[name] = rows | {o: rows[c] for o, c in others.items() if c in rows}
        self._systems = {name: _most(rows.values()) for name, rows in self._rows.items()}
        self.fhir = definitions("R4")
        self._names = {_bare(name): name for name in tables}
        self.concepts: dict[str, Obj] = {}

    def rows(self, name: str) -> dict[str, Code]:
        """What the table holds: the first line of each code."""
        return self._rows[name]

    def named(self, vocabulary: str) -> str:
        """The table that a row means: names differ in punctuation; empty when there is none."""
        if vocabulary in BY_HAND:
            return vocabulary
        return self._names.get(_bare(vocabulary), "")

    def usable(self, vocabulary: str) -> bool:
        name = self.named(vocabulary)
        return name in BY_HAND or (bool(name) and bool(self.rows(name)))

    def system(self, name: str) -> str:
        """The system that most rows map to."""
        return self._systems[name]

    def source(self, name: str) -> str:
        """The v2 table, as a URI; empty where the guide names none."""
        named = next((code.system for code in self.tables[name] if code.system), "")
        found = re.search(r"(\d{4})$", named or SOURCES.get(name, ""))
        return f"{V2}{found[1]}" if found else ""

    def keeps_codes(self, name: str) -> bool:
        """Whether the table only adds system and display to v2's own codes."""
        return self.system(name) == self.source(name) != "" and all(
            code == row.target and row.target_system == self.system(name)
            for code, row in self.rows(name).items()
        )

    # --- tables ---------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        for name in sorted(self.tables):
            rows = self.rows(name)
            yield ""
            yield f"  {name}:"
            if source := self.source(name):
                yield f"    from: {source}"
            system = self.system(name)
            if system:
                yield f"    to: {system}"
            if name in FALLBACKS:
                yield f"    unmapped: = '{FALLBACKS[name]}'"
            else:
                yield f"    unmapped: {'pass' if self.keeps_codes(name) else 'drop'}"
            without = [c.code for c in self.tables[name] if c.code and c.code not in rows]
            if without and len(without) < len(self.tables[name]):
                text = f"Without a row in the guide: {', '.join(dict.fromkeys(without))}."
                yield from wrapped(text, 4)
            if not rows:
                yield "    rows: {}"
                continue
            yield "    rows:"
            for code, row in rows.items():
                yield f"      {key(code)}: {self._value(row, system)}"

    def _value(self, row: Code, system: str) -> str:
        other = row.target_system not in ("", system)
        if _FHIR.match(system) and not other:
            return scalar(row.target)
        parts = [f"code: {_flow(row.target)}"]
        if row.display:
            parts.append(f"display: {_flow(row.display)}")
        if other:
            parts.append(f"system: {row.target_system}")
        return "{" + ", ".join(parts) + "}"

    # --- concepts -------------------------------------------------------------------------

    def concept(self, kind: str, type_name: str, vocabulary: str) -> str | None:
        """The name of a map from a v2 datatype to a CodeableConcept or Coding that uses a table;
        None where the table is empty."""
        table = self.named(vocabulary)
        if not self.usable(vocabulary):
            return None
        kind = "ID" if kind in ("IS", "ID", "ST", "") else kind
        kind = "CWE" if kind in ("CE", "CNE", "FC", "XCN") else kind
        name = f"{kind}_{type_name}_{table}"
        if name not in self.concepts:
            self.concepts[name] = self._concept(kind, type_name, table)
        return name

    def _concept(self, kind: str, type_name: str, table: str) -> Obj:
        if kind == "ID":
            codings = self._codings_of_id(table)
        elif self.keeps_codes(table):
            codings = Lst([(self._kept(table), "")])
        else:
            codings = Lst([(item, "") for item in self._both("1", table)])
        if type_name == "Coding":
            out = Obj()
            if len(codings.items) == 1:
                only = codings.items[0][0]
                if isinstance(only, Obj):
                    return only
            out.add("$first", codings)
            return out
        out = Obj()
        if kind == "CWE":
            for first in ("4", "10"):
                if self.keeps_codes(table) or not self.source(table):
                    codings.items.append((_alternate(first), ""))
                else:
                    codings.items += [(item, "") for item in self._both(first, table)]
        out.add("coding", codings)
        if kind == "CWE":
            out.add("text", "= $cwe.9")
        return out

    def _codings_of_id(self, table: str) -> Lst:
        codings = Lst([(f"= $id | coding('{table}')", "")])
        if not self.keeps_codes(table):
            original = Obj()
            self._unless_same(original, "$id", table)
            if source := self.source(table):
                original.add("system", source)
            original.add("code", "= $id | squeeze")
            codings.items.append((original, ""))
        return codings

    def _kept(self, table: str) -> Obj:
        """The message's coding as it is; a bare code is read in the table of HL7."""
        either = Obj()
        own = _coding("1", self.source(table))
        own.entries.insert(0, ("$if", "$cwe.2 or $cwe.3 or not exists($cwe.1)", ""))
        either.add("$first", Lst([(own, ""), (f"= $cwe.1 | coding('{table}')", "")]))
        return either

    def _both(self, first: str, table: str) -> list[str | Obj]:
        """What the table makes of a triplet, and the triplet itself where it says more."""
        number, source = int(first), self.source(table)
        code, words, named = (f"$cwe.{number + n}" for n in range(3))
        known = f"{code} | coding('{table}')"
        if not source:
            original = Obj()
            self._unless_same(original, code, table)
            original.entries += _coding(first).entries
            return [f"= {known}", original]
        if number > 1:  # an alternate code is one of the table only where it says so, or nothing
            known += f" | when(not {named} or ({named} | table('CodingSystem')) == '{source}')"
        given = _coding(first, source if number == 1 else "")
        own, arguments = Obj(), Obj()
        if others := OTHER_CODES.get(table):
            listed = ", ".join(f"'{other}'" for other in others)
            own.add("$if", f"{words} or {code} not in [{listed}]")
        values = {name: value for name, value, _ in given.entries}
        for name, value in (
            ("code", f"= {code}"),
            ("words", values["display"]),
            ("system", values["system"]),
            ("version", values["version"]),
            ("known", f"= {known}"),
            ("read", source),
        ):
            arguments.add(name, value)
        own.add("$use", "CWE_OwnCoding")
        own.add("$with", arguments)
        return [f"= {known}", own]

    def _unless_same(self, out: Obj, path: str, table: str) -> None:
        """The original coding is left out where the table's is the same."""
        source = self.source(table) or self.system(table)
        # Where the guide names no source, a sender's own system is another one.
        foreign = "" if self.source(table) or path != "$cwe.1" else " or $cwe.3"
        rows = self.rows(table)
        same = [
            code
            for code, row in rows.items()
            if code == row.target and (row.target_system or self.system(table)) == source
        ]
        if len(same) > _MANY or (
            same and same == [c for c, row in rows.items() if c == row.target]
        ):
            out.add("$if", f"({path} | table('{table}')) != {path}" + foreign)
        elif same:
            listed = ", ".join(f"'{code}'" for code in same)
            out.add("$if", f"{path} not in [{listed}]" + foreign)


def _most(codes: Iterable[Code]) -> str:
    counted = Counter(code.target_system for code in codes if code.target and code.target_system)
    return counted.most_common(1)[0][0] if counted else ""


def _rows(codes: tuple[Code, ...]) -> dict[str, Code]:
    """Where the guide names no v2 code at all, senders use FHIR's own."""
    own = all(not code.code for code in codes)
    main = _most(codes)
    found: dict[str, Code] = {}
    for code in codes:
        source = code.target if own else code.code
        if _FHIR.match(main) and code.target_system not in ("", main):
            continue  # a code of another element, such as CP: mobile among the systems
        if source and code.target and "|" not in code.target:
            found.setdefault(source, code)
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _coding(first: str, system: str = "") -> Obj:
    """One triplet of a CWE (identifier, text, system) with its version."""
    number = int(first)
    version = {1: 7, 4: 8, 10: 13}[number]
    out = Obj()
    name = f"= $cwe.{number + 2} | table('CodingSystem')"
    if system:
        name += f" ?? '{system}' | when($cwe.{number})"
    out.add("system", name)
    out.add("version", f"= $cwe.{version}")
    out.add("code", f"= $cwe.{number} | squeeze")
    out.add("display", f"= $cwe.{number + 1}")
    return out


def _alternate(first: str) -> Obj:
    out = Obj()
    out.add("$if", f"$cwe.{first} or $cwe.{int(first) + 1}")
    out.entries += _coding(first).entries
    return out


def _flow(text: str) -> str:
    """A scalar inside braces."""
    written = scalar(text)
    if written.startswith("'") or not re.search(r"[,\[\]{}]", written):
        return written
    return "'" + text.replace("'", "''") + "'"
