"""Complete mappings from the guide's message tables and the decisions in ``messages.yaml``.

The tables say which segment goes to which resource.  The decisions say what the tables leave to
the implementer, add the segments and messages that the guide has no table for, and give a reason
for every row that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.guide.block_yaml import block_yaml
from engine.guide.message_plan import Groups, Part, Plan, Resource, flattened, settle
from engine.guide.message_tables import (
    Label,
    Reference,
    Row,
    Table,
    label_of,
    references_of,
)
from engine.guide.message_writer import MessageWriter, Style

Tree = dict[str, Any]

_EACH: Final = re.compile(r"each\('(\w+)'")


@dataclass(frozen=True, slots=True)
class SegmentMap:
    """A segment map of the library: where it stands and what it wants."""

    file: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Composed:
    """A mapping's text, and the rows of its table that are in it or left out with a reason."""

    name: str
    text: str
    used: tuple[Row, ...]
    left_out: Mapping[Row, str]


class Composer:
    """Raises ValueError for a row that no decision covers, or a map that is nowhere."""

    def __init__(
        self, tables: Mapping[str, Table], decisions: Tree, library: Mapping[str, SegmentMap]
    ) -> None:
        self.tables = tables
        self.decisions = decisions
        self.library = library

    def compose(self, message: str) -> Composed:
        """The mapping of a message of the decisions."""
        decided: Tree = self.decisions["messages"][message]
        table = self._table(message, decided)
        used, left_out = list[tuple[Row, Tree]](), dict[Row, str]()
        for row in table.rows:
            choice = self._choice(row, decided)
            if "because" in choice:
                left_out[row] = choice["because"]
            else:
                used.append((row, choice))
        plan = self._plan(table, used)
        for label in plan.resources:
            if not {str(label), label.type} & self.decisions["keys"].keys():
                raise ValueError(f"{message}: {label} has no key")
        writer = MessageWriter(plan, self._style(decided))
        return Composed(
            decided["mapping"], self._text(message, decided, writer),
            tuple(row for row, _ in used), left_out,
        )  # fmt: skip

    # Rows.

    def _table(self, message: str, decided: Tree) -> Table:
        like = decided.get("like", message)
        table = self.tables[like] if like in self.tables else Table(message, (), {}, {})
        rows, groups = list(table.rows), dict(table.groups)
        segments = dict(table.segments)
        for each in decided.get("rows", ()):
            self._add(message, each, (), rows, groups, segments)
        for each in self.decisions["added"]:
            if message in each.get("messages", [message]):
                made = [row for row in rows if "instead" not in decided or row.number == 0]
                self._add_beside(message, each, made, rows, groups, segments)
        rows = [replace(row, message=message) for row in rows]
        return Table(message, tuple(rows), groups, segments)

    def _add_beside(
        self,
        message: str,
        written: Tree,
        made: Sequence[Row],
        rows: list[Row],
        groups: dict[Groups, bool],
        segments: dict[str, frozenset[Groups]],
    ) -> None:
        """A row for every message that makes a resource of the same segment."""
        aim = written.get("beside")
        places = {
            row.groups
            for row in made
            if row.segment == written["segment"].rstrip("*") and aim in (None, str(row.target))
        }
        for place in sorted(places) if aim else [()]:
            self._add(message, written, place, rows, groups, segments)

    def _add(
        self,
        message: str,
        written: Tree,
        outer: Groups,
        rows: list[Row],
        groups: dict[Groups, bool],
        segments: dict[str, frozenset[Groups]],
    ) -> None:
        """One written row, a group of rows, or a named list of rows."""
        if "use" in written:
            for each in self.decisions["lists"][written["use"]]:
                self._add(message, each, outer, rows, groups, segments)
            return
        if "group" in written:
            name = written["group"]
            inner = (*outer, name.rstrip("*"))
            groups[inner] = name.endswith("*")
            for each in written["rows"]:
                self._add(message, each, inner, rows, groups, segments)
            return
        at: Groups = tuple(written.get("in", ()))
        place = (*outer, *at)
        if at and place not in groups:
            return  # a list of rows may name groups that not every message has
        name = written["segment"].rstrip("*")
        segments[name] = segments.get(name, frozenset()) | {place}
        if "to" not in written:
            return
        target = label_of(written["to"])
        references = tuple(
            Reference(target, path, label_of(to)) for path, to in written.get("refer", {}).items()
        )
        row = Row(
            message, place, name, written["segment"].endswith("*"), written.get("when", ""), "",
            target, written.get("under", ""), written["map"],
            (*references, *references_of(written.get("references", ""))), 0,
        )  # fmt: skip
        rows.append(row)

    def _choice(self, row: Row, decided: Tree) -> Tree:
        if "instead" in decided and row.number > 0:
            return {"because": decided["instead"]}
        for choice in self.decisions["decisions"]:
            if _fits(choice, row):
                found: Tree = dict(choice)
                return found
        return {}

    # The plan.

    def _plan(self, table: Table, used: Sequence[tuple[Row, Tree]]) -> Plan:
        standing: dict[Groups, set[str]] = {}
        for row, _ in used:
            for length in range(1, len(row.groups) + 1):
                standing.setdefault(row.groups[:length], set()).add(
                    ".".join((*row.groups[length:], row.segment))
                )
        resources: dict[Label, Resource] = {}
        references: list[Reference] = []
        for row, choice in used:
            if row.target.type == "Bundle":
                continue
            label, under = self._target(row, choice)
            resource = resources.setdefault(label, Resource(label))
            groups = flattened(row.groups, standing)
            repeats = row.repeats or groups != row.groups
            part = Part(
                groups, row.segment, repeats, self._when(row, choice), self._map(row, choice),
                under, "as" in choice,
            )  # fmt: skip
            resource.parts.append(part)
            for reference in self._references(row, choice):
                origin = label if reference.origin == row.target else reference.origin
                target = label if reference.target == row.target else reference.target
                references.append(replace(reference, origin=origin, target=target))
        settled = settle(list(resources.values()), table.groups)
        segments = {
            name: frozenset(flattened(place, standing) for place in places)
            for name, places in table.segments.items()
        }
        plan = Plan(table.message, settled, table.groups, segments)
        for reference in [*references, *self._usual(plan)]:
            self._attach(plan, reference)
        return plan

    def _target(self, row: Row, choice: Tree) -> tuple[Label, str]:
        """The resource a row goes to, and the element of it."""
        if "as" in choice:
            label, _, under = choice["as"].partition("/")
            return label_of(label), under
        label = label_of(choice["to"]) if "to" in choice else row.target
        return label, choice.get("under", row.part)

    def _references(self, row: Row, choice: Tree) -> Iterator[Reference]:
        if "as" in choice:
            return
        if "refer" in choice:
            for path, to in choice["refer"].items():
                origin, _, rest = path.rpartition("/")
                yield Reference(label_of(origin) if origin else row.target, rest, label_of(to))
            return
        for reference in row.references:
            path = self.decisions["paths"].get(
                f"{reference.origin.type}.{reference.path}", reference.path
            )
            if path:
                yield replace(reference, path=path)

    def _usual(self, plan: Plan) -> Iterator[Reference]:
        """What every resource of a type refers to when it is there."""
        for label in plan.resources:
            for path, type_ in self.decisions["references"].get(label.type, {}).items():
                yield Reference(label, path, Label(type_))

    def _attach(self, plan: Plan, reference: Reference) -> None:
        origin = self._nearest(plan, reference.origin, ())
        if origin is None:
            return
        target = self._nearest(plan, reference.target, plan.resources[origin].scope)
        if target is None or target == origin:
            return
        resource = plan.resources[origin]
        aim = plan.resources[target].scope
        shared = min(len(aim), len(resource.scope))
        if aim[:shared] != resource.scope[:shared]:
            return  # in groups beside each other
        found = Reference(origin, reference.path, target)
        same = {each.path for each in resource.references if each.target.type == target.type}
        if found not in resource.references and (
            reference.path not in same or self._many(origin.type, reference.path)
        ):
            resource.references.append(found)

    def _many(self, type_: str, path: str) -> bool:
        return f"{type_}.{path}" in self.decisions["several"]

    def _nearest(self, plan: Plan, label: Label, scope: Groups) -> Label | None:
        """The label itself, or the one of its type that stands nearest to the scope."""
        if label in plan.resources:
            return label
        alike = [found for found in plan.resources if found.type == label.type]
        for length in range(len(scope), -1, -1):
            for found in alike:
                if plan.resources[found].scope == scope[:length] and not (
                    plan.resources[found].each
                ):
                    return found
        return alike[0] if len(alike) == 1 else None

    def _when(self, row: Row, choice: Tree) -> str:
        if "when" in choice:
            when: str = choice["when"]
            return when
        if not row.condition or row.number == 0:
            return row.condition
        conditions: Mapping[str, str] = self.decisions["conditions"]
        try:
            return conditions[row.condition]
        except KeyError:
            raise ValueError(f"{row}: no decision for {row.condition!r}") from None

    def _map(self, row: Row, choice: Tree) -> str:
        name = str(choice.get("with", row.map)).replace("[", "_").replace("]", "").replace("-", "_")
        if name not in self.library:
            raise ValueError(f"{row}: the library has no map {name}")
        return name

    # The text.

    def _style(self, decided: Tree) -> Style:
        return Style(
            keys=self.decisions["keys"],
            owned=frozenset(decided["owns"]),
            lists=frozenset(self.decisions["lists_of_fhir"]),
            defaults=self.decisions["defaults"],
            only=self.decisions["only"],
            beside=self.decisions["beside"],
            starts={**self.decisions["starts"], **decided.get("starts", {})},
            requests=self.decisions["requests"],
            arguments={name: found.arguments for name, found in self.library.items()},
        )

    def _text(self, message: str, decided: Tree, writer: MessageWriter) -> str:
        entries, maps, let = writer.entries(), writer.maps(), writer.let()
        let.setdefault("msh", "= MSH")
        used = {*writer.used, "MSH_Bundle", *_named(let), *_named(entries), *_named(maps)}
        imports = sorted({self.library[name].file for name in used if name in self.library})
        tree: Tree = {
            "mapping": decided["mapping"],
            "from": {
                "format": "hl7v2",
                "message": decided.get("messages", [message]),
                **{key: decided[key] for key in ("when",) if key in decided},
            },
            "to": {"format": "fhir", "version": "R4", "resource": "Bundle"},
            "import": imports,
            "let": let,
            "out": {
                "resourceType": "Bundle",
                "type": "transaction",
                "$use": "MSH_Bundle",
                "$with": {"msh": "= $msh"},
                "entry": entries,
            },
        }
        if maps:
            tree["maps"] = maps
        head = (
            f"# {decided['title']}\n"
            "#\n"
            "# Made by `python -m engine.guide` from the HL7 v2-to-FHIR message tables and\n"
            "# engine/guide/messages.yaml, which holds the decisions. Do not edit: mend it there,\n"
            "# or lay an overlay over this (docs/guide-maps.md).\n\n"
        )
        return head + block_yaml(tree)


def _fits(choice: Tree, row: Row) -> bool:
    within = choice.get("messages")
    return (
        (within is None or row.message in within)
        and choice.get("segment", row.segment) == row.segment
        and choice.get("map", row.map) == row.map
        and choice.get("target", str(row.target)) == str(row.target)
        and ("group" not in choice or row.groups[-1:] == (choice["group"],))
        and choice.get("condition", row.condition) == row.condition
        and choice.get("narrative", "") in row.narrative
    )


def _named(tree: Any) -> set[str]:
    """The maps that expressions in a tree call by ``each``."""
    if isinstance(tree, str):
        return set(_EACH.findall(tree))
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    found = set[str]()
    for item in items:
        found |= _named(item)
    if isinstance(tree, dict) and isinstance(tree.get("$use"), str):
        found.add(tree["$use"])
    return found
