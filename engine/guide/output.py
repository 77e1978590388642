"""A map of the guide as a map of the mapping language."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from engine.formats.fhir.definitions import Definitions, Element
from engine.guide.conditions import (
    Among,
    Both,
    Condition,
    ConditionError,
    Counted,
    Not,
    Valued,
    refs_of,
)
from engine.guide.patches import Left
from engine.guide.rows import GuideMap, Row, word
from engine.guide.targets import TargetError
from engine.guide.text import Lst, Obj, Out
from engine.guide.trees import Key, Rule, Tree, plant, read
from engine.guide.vocabulary import Vocabulary

SIMPLE: Final = frozenset(
    ["ST", "TX", "FT", "ID", "IS", "NM", "SI", "DT", "TM", "DTM", "TS", "GTS", "SNM", "String"]
)
_REF: Final = re.compile(r"(?P<head>[A-Z][A-Z0-9]+)(?:[-.](?P<path>\d+(?:\.\d+)*))?$")
_CONSTANT: Final = re.compile(r'"(?P<text>[^"]*)"$|#(?P<code>[^#]*)#$')
_JOINED: Final = re.compile(
    r'\s*(?:"(?P<text>[^"]*)"|(?P<ref>[A-Z][A-Z0-9]{1,2}[-.]\d+(?:\.\d+)?))'
)
_TIMES: Final = {"date": "date", "dateTime": "datetime", "instant": "instant", "time": "time"}
_WHOLE_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_NUMBERS: Final = _WHOLE_NUMBERS | {"decimal"}
_TOKENS: Final = frozenset({"code", "id", "uri", "url", "canonical", "oid", "uuid"})


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


class MapWriter:
    """Writes one map of the guide, and the maps of resources that it refers to."""

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

    # --- the map ------------------------------------------------------------------------

    def write(self, rows: Iterable[Row]) -> Made:
        tree = Tree()
        for row in rows:
            try:
                plant(tree, *read(row))
            except (TargetError, ConditionError) as error:
                self.left.append(Left(row, str(error)))
        start = self.start_type()
        if self.fhir.is_primitive(start) or (
            tree.rules and not tree.children and not self._uses(tree)
        ):
            kind = start if self.fhir.is_primitive(start) else "decimal"
            out: Out = self.alternatives(tree.rules, kind, None, Env(), many=False)
            return Made(self.map.name, self.args, out)
        root = Obj()
        if self.names_resource(start):
            root.add("resourceType", start)
        if tree.rules:
            self.parts(root, tree.rules, start, Env(), {key.name for key in tree.children})
        self.elements(root, tree, start, Env())
        return Made(self.map.name, self.args, root)

    def _uses(self, tree: Tree) -> bool:
        return any(rule.row.map for rule in tree.rules)

    def start_type(self) -> str:
        name = self.map.target.split("-")[0]
        return name

    def names_resource(self, start: str) -> bool:
        found = self.fhir.type(start)
        whole = self.map.source not in ("TQ", "SPS", "MSG", "FT", "DTM", "PT")
        return found is not None and found.is_resource and whole

    def given(self, name: str, path: str) -> Obj:
        known = self.maps.get(name)
        arg = known.source.lower() if known else name.split("_")[0].lower()
        made = next((made for made in self.below if made.name == name), None)
        given = Obj()
        given.add(made.args[0] if made is not None else arg, f"= {path}")
        return given

    def done(self, *rules: Rule) -> None:
        self.compiled.update(id(rule) for rule in rules)

    def fail(self, rules: Iterable[Rule], reason: str) -> None:
        for rule in rules:
            if id(rule) not in self.failed:
                self.failed.add(id(rule))
                self.left.append(Left(rule.row, reason))

    # --- elements -----------------------------------------------------------------------

    def elements(self, out: Obj, tree: Tree, owner: str, env: Env) -> None:
        """Add the children of ``tree`` to an object of the type ``owner``."""
        by_name: dict[str, dict[Key, Tree]] = {}
        for key, child in tree.children.items():
            by_name.setdefault(key.name, {})[key] = child
        kind = self.fhir.type(owner)
        order = list(kind.keys) if kind is not None else []
        for name in sorted(by_name, key=lambda n: order.index(n) if n in order else -1):
            entries = by_name[name]
            found = kind.keys.get(name) if kind is not None else None
            if found is None:
                rules = [rule for entry in entries.values() for rule in entry.walk()]
                self.fail(rules, f"FHIR R4 has no {owner}.{name}")
                continue
            element, type_name = found
            if self.fhir.is_primitive(type_name):
                self.primitive(out, name, entries, element, type_name, env)
            else:
                self.complex(out, name, entries, element, type_name, env)

    def primitive(
        self,
        out: Obj,
        name: str,
        entries: dict[Key, Tree],
        element: Element,
        type_name: str,
        env: Env,
    ) -> None:
        rules = [rule for entry in entries.values() for rule in entry.rules]
        if rules and element.many:
            items = Lst()
            for rule in rules:
                text = self.alternatives([rule], type_name, element, env, many=True)
                if text:
                    items.items.append((text, note([rule])))
            if items.items:
                out.add(name, items)
        elif rules:
            text = self.alternatives(rules, type_name, element, env, many=False)
            if text:
                out.add(name, text, note(rules))
        extended = Tree()
        for entry in entries.values():
            for key, child in entry.children.items():
                extended.children[key] = child
        if extended.children:
            below = Obj()
            self.elements(below, extended, "Element", env)
            if below.entries:
                out.add(f"_{name}", Lst([(below, "")]) if element.many else below)

    def complex(
        self,
        out: Obj,
        name: str,
        entries: dict[Key, Tree],
        element: Element,
        type_name: str,
        env: Env,
    ) -> None:
        labels: dict[str, dict[Key, Tree]] = {}
        first = any(key.label == "1" for key in entries)
        for key, entry in entries.items():
            label = "1" if first and not key.label else key.label
            labels.setdefault(label if element.many else "", {})[key] = entry
        items = Lst()
        for grouped in labels.values():
            rules = [rule for entry in grouped.values() for rule in entry.walk()]
            many = element.many
            try:
                for item in self.place(name, grouped, type_name, element, env):
                    items.items.append((item, note(rules) if isinstance(item, str) else ""))
            except Unable as error:
                self.fail([rule for rule in rules if id(rule) not in self.compiled], str(error))
        if not items.items:
            return
        if many:
            out.add(name, items)
            return
        texts = [item for item, _ in items.items if isinstance(item, str)]
        everything = [rule for entry in entries.values() for rule in entry.walk()]
        if len(texts) == len(items.items):
            joined = " ?? ".join(text.removeprefix("= ") for text in texts)
            out.add(name, f"= {joined}", note(everything))
        elif len(items.items) == 1:
            out.add(name, items.items[0][0])
        else:
            either = Obj()
            either.add("$first", items)
            out.add(name, either)

    # --- one place: an object, a value, or a reference ------------------------------------

    def place(
        self, name: str, entries: dict[Key, Tree], type_name: str, element: Element, env: Env
    ) -> list[Out]:
        """What stands at one entry of a list, or at an element that does not repeat."""
        rules = [rule for entry in entries.values() for rule in entry.walk()]
        plain = Tree()
        referred: list[tuple[Key, Tree]] = []
        for key, entry in entries.items():
            if key.resource:
                referred.append((key, entry))
            else:
                plain.rules += entry.rules
                for below, child in entry.children.items():
                    _graft(plain, below, child)
        alone = type_name == "Reference" and referred and not plain.children
        nested = bool(plain.children)
        head, inner = (Obj(), env) if alone else self.hoisted(rules, element.many, env, nested)
        if type_name == "Reference" and referred:
            return self.references(name, referred, plain, head, inner, element.many)
        if referred:
            raise Unable(f"{name} is no reference")
        if not plain.children:
            texts = self.values(plain.rules, type_name, element, inner, element.many)
            if head.entries:
                return [self.headed(head, text) for text in texts]
            return list(texts)
        body = Obj(list(head.entries))
        if plain.rules:
            self.parts(body, plain.rules, type_name, inner)
        before = len(body.entries)
        table = self.coded(plain, type_name, inner)
        if table is not None:
            return [self.headed(head, table)] if head.entries else [table]
        self.elements(body, plain, type_name, inner)
        if len(body.entries) == before and not plain.rules:
            return []
        return [certain(body) if type_name == "Extension" else body]

    def headed(self, head: Obj, text: str) -> Obj:
        body = Obj(list(head.entries))
        body.add("$first", Lst([(text, "")]))
        return body

    def coded(self, tree: Tree, type_name: str, env: Env) -> str | None:
        """``coding.code`` by a table of one system: the table gives the system as well."""
        if type_name != "Coding" or {key.name for key in tree.children} - {"code", "system"}:
            return None
        rules = [rule for key, c in tree.children.items() if key.name == "code" for rule in c.rules]
        if len(rules) != 1 or not self.codes.usable(rules[0].row.vocabulary):
            return None
        table = self.codes.named(rules[0].row.vocabulary)
        self.done(*tree.walk())
        return f"= {self.path(rules[0].row.source, rules[0].row, env)} | coding('{table}')"

    def hoisted(self, rules: list[Rule], many: bool, env: Env, nested: bool) -> tuple[Obj, Env]:
        """``$for`` and ``$if`` that hold for all rules of a place, and what is known below;
        ``nested``: the place has elements of its own."""
        head = Obj()
        sources = {rule.row.source for rule in rules if has_source(rule.row)}
        constant = any(is_constant(rule.row) for rule in rules)
        if len(sources) == 1 and all(has_source(rule.row) for rule in rules):
            (source,) = sources
            row = rules[0].row
            repeats = many and any(rule.row.repeats for rule in rules) and "-" in source
            only = rules[0].condition if len({rule.condition for rule in rules}) == 1 else None
            if source in env.sure or source in env.bound or (only and _denies(only, source)):
                pass
            elif repeats and (len(rules) > 1 or nested):
                variable = self.variable(row)
                head.add("$for", f"{variable} in {self.path(source, row, env)}[*]", note(rules))
                env = replace(
                    env, bound={**env.bound, source: f"${variable}"}, sure=env.sure | {source}
                )
            elif constant and len(rules) > 1:
                head.add("$if", self.there(source, row, env), note(rules))
                env = replace(env, sure=env.sure | {source})
        elif sources and constant and all(has_source(rule.row) for rule in rules):
            fixed = {rule.row.source for rule in rules if is_constant(rule.row)}
            if fixed == sources and not sources & env.sure and not sources <= env.some:
                tests = [self.there(r, _row_of(rules, r), env) for r in sorted(sources)]
                head.add("$if", " or ".join(tests), note(rules))
                env = replace(env, some=frozenset(sources))
        conditions = {rule.condition for rule in rules}
        if len(rules) > 1 and len(conditions) == 1:
            (condition,) = conditions
            if condition is not None and condition not in env.assumed:
                try:
                    text = self.test(condition, rules[0].row, env)
                except Unable:
                    return head, env
                if head.entries and head.entries[-1][0] == "$if":
                    key, before, about = head.entries.pop()
                    assert isinstance(before, str)  # noqa: S101
                    implied = _implies(condition, rules[0].row.source)
                    head.add(key, text if implied else f"{before} and {_tight(text)}", about)
                else:
                    head.add("$if", text, "" if head.entries else note(rules))
                env = replace(env, assumed=env.assumed | {condition})
        return head, env

    def variable(self, row: Row) -> str:
        kind = row.datatype.lower()
        name = kind if re.fullmatch(r"[a-z][a-z0-9]{1,3}", kind) else "value"
        return name if name not in self.args else f"{name}_value"

    def parts(
        self,
        body: Obj,
        rules: list[Rule],
        type_name: str,
        env: Env,
        beside: Collection[str] = (),
    ) -> None:
        """What datatype maps give, beside elements that are written out: what these have wins,
        except for elements of ``beside``, which both may have a share in."""
        uses = [rule for rule in rules if rule.row.map]
        for rule in rules:
            if rule not in uses:
                self.fail([rule], "a value and its elements at one place")
        merged = Lst()
        for rule in uses:
            try:
                name = self.concept(rule, type_name) or self.map_named(rule.row.map)
                path = self.path(rule.row.source, rule.row, env)
                condition = self.condition(rule, env)
            except Unable as error:
                self.fail([rule], str(error))
                continue
            part = Obj()
            if condition:
                part.add("$if", condition)
            part.add("$use", name, note([rule]))
            part.add("$with", self.given(name, path))
            merged.items.append((part, ""))
            self.done(rule)
        only = merged.items[0][0] if len(merged.items) == 1 else None
        shared = any(self.first_steps(rule.row.map) & set(beside) for rule in uses)
        if isinstance(only, Obj) and only.entries[0][0] != "$if" and not shared:
            body.entries += only.entries
            return
        if merged.items:
            body.add("$merge", merged)

    def first_steps(self, label: str) -> set[str]:
        """The elements that a datatype map begins with."""
        rows = self.maps[self.map_named(label)].rows
        return {re.split(r"[.\[(]", row.target)[0] for row in rows}

    # --- references -----------------------------------------------------------------------

    def references(
        self,
        name: str,
        referred: list[tuple[Key, Tree]],
        plain: Tree,
        head: Obj,
        env: Env,
        many: bool,
    ) -> list[Out]:
        found: list[Out] = []
        self.fail(plain.rules, "a reference needs to know what it refers to")
        for key, entry in referred:
            try:
                found.append(self.reference(name, key, entry, env, many and not env.bound))
            except Unable as error:
                rules = [rule for rule in entry.walk() if id(rule) not in self.compiled]
                self.fail(rules, str(error))
        if plain.children and found:
            body = Obj(list(head.entries))
            first = found[0]
            if isinstance(first, str):
                use = re.fullmatch(r"= (?P<path>\S+) \| refer\('(?P<map>\w+)'\)", first)
                if use is None:
                    raise Unable("elements beside a reference to a choice of resources")
                body.add("$refer", use["map"])
                body.add("$with", self.given(use["map"], use["path"].removesuffix("[*]")))
            self.elements(body, plain, "Reference", env)
            return [body]
        if head.entries:
            return [self.headed(head, text) for text in found if isinstance(text, str)]
        return found

    def reference(self, name: str, key: Key, entry: Tree, env: Env, many: bool) -> str:
        whole = [rule for rule in entry.rules if rule.row.map]
        bare = [rule for rule in entry.rules if not rule.row.map]
        if not entry.children:
            self.fail(bare, "which resource this is, only the message as a whole can tell")
            if not whole:
                raise Unable("which resource this is, only the message as a whole can tell")
            texts = []
            for rule in whole:
                path = self.path(rule.row.source, rule.row, env)
                every = "[*]" if many and rule.row.repeats and "$" + path else ""
                text = f"{path}{every} | refer('{self.map_named(rule.row.map)}')"
                texts.append(self.when(text, rule, env))
                self.done(rule)
            return "= " + " ?? ".join(texts)
        self.fail(bare, "which resource this is, only the message as a whole can tell")
        return self.made_reference(name, key, Tree(whole, entry.children), env, many)

    def made_reference(self, name: str, key: Key, entry: Tree, env: Env, many: bool) -> str:
        """A map of its own for a resource that several rows describe."""
        rules = list(entry.walk())
        conditions = {rule.condition for rule in rules}
        sources = {rule.row.source for rule in rules if has_source(rule.row)}
        submap = self.submap_name(name, key.resource)
        inner = MapWriter(self.map, self.maps, self.fhir, self.codes)
        test = ""
        below = Env(assumed=env.assumed)
        condition = next(iter(conditions)) if len(conditions) == 1 else None
        if condition is not None and condition not in env.assumed:
            test = self.test(condition, rules[0].row, env)
            below = replace(below, assumed=below.assumed | {condition})
        single = len(sources) == 1 and "-" in next(iter(sources))
        if single:
            (source,) = sources
            variable = self.variable(rules[0].row)
            inner.args = [variable]
            below = replace(below, bound={source: f"${variable}"}, sure=frozenset({source}))
        root = Obj()
        root.add("resourceType", key.resource)
        if len(entry.rules) == 1:
            rule = entry.rules[0]
            root.add("$use", self.map_named(rule.row.map), note([rule]))
            path = inner.path(rule.row.source, rule.row, below)
            root.add("$with", inner.given(self.map_named(rule.row.map), path))
            inner.done(rule)
        elif entry.rules:
            raise Unable("several datatypes for one resource")
        inner.elements(root, Tree([], entry.children), key.resource, below)
        self.compiled |= inner.compiled
        self.failed |= inner.failed
        self.left += inner.left
        if len(root.entries) == 1:
            raise Unable("nothing of this resource could be compiled")
        self.below += inner.below
        guard = ""
        if not single and "$use" not in [k for k, _, _ in root.entries]:
            tests = [inner.there(r, _row_of(rules, r), below) for r in sorted(sources)]
            guard = " or ".join(tests)
        if not single and len(entry.rules) == 1:
            guard = " or ".join(inner.there(r, _row_of(rules, r), below) for r in sorted(sources))
        self.below.append(Made(submap, inner.args, root, guard=guard))
        if single:
            path = self.path(source, rules[0].row, env)
            every = "[*]" if many and any(rule.row.repeats for rule in rules) else ""
            text = f"{path}{every} | refer('{submap}')"
        else:
            for arg in inner.args:
                self.need(arg)
            more = "".join(f", ${arg}" for arg in inner.args[1:])
            text = f"${inner.args[0]} | refer('{submap}'{more})"
        return f"= {text} | when({test})" if test else f"= {text}"

    def submap_name(self, name: str, resource: str) -> str:
        base = f"{self.map.name}_{name}_{resource}"
        found, number = base, 2
        while found in self.used_names:
            found, number = f"{base}_{number}", number + 1
        self.used_names.add(found)
        return found

    # --- values ---------------------------------------------------------------------------

    def values(
        self, rules: list[Rule], type_name: str, element: Element, env: Env, many: bool
    ) -> list[str]:
        """Expressions of a datatype, one for each entry of a list."""
        if many:
            texts = [self.alternatives([r], type_name, element, env, many=True) for r in rules]
            return [text for text in texts if text]
        text = self.alternatives(rules, type_name, element, env, many=False)
        return [text] if text else []

    def alternatives(
        self, rules: list[Rule], type_name: str, element: Element | None, env: Env, *, many: bool
    ) -> str:
        """One value for several rules: those with a condition first, then the fallback."""
        found: list[tuple[Rule, str]] = []
        constants: dict[str, list[Rule]] = {}
        for rule in rules:
            try:
                constant = constant_of(rule.row)
                if constant is not None and (
                    rule.condition is None or rule.condition in env.assumed
                ):
                    constants.setdefault(constant, []).append(rule)
                    continue
                found.append((rule, self.value(rule, type_name, element, env, many)))
                self.done(rule)
            except Unable as error:
                self.fail([rule], str(error))
        for constant, of in constants.items():
            sources = [
                rule.row
                for rule in of
                if has_source(rule.row)
                and not (rule.condition and _settles(rule.condition, rule.row.source))
            ]
            self.done(*of)
            here = {row.source for row in sources}
            known = not sources or here & env.sure or (env.some and here >= env.some)
            if len(sources) < len(of) or known:
                if not found and len(constants) == 1:
                    return constant if type_name not in _NUMBERS else f"= {constant}"
                found.append((of[0], literal(constant, type_name)))
            else:
                test = " or ".join(self.there(row.source, row, env) for row in sources)
                found.append((of[0], f"{literal(constant, type_name)} | when({test})"))
        return "= " + self.chained(found, env) if found else ""

    def chained(self, found: list[tuple[Rule, str]], env: Env) -> str:
        """``a ?? b``: a condition that says "the other is not valued" needs no words."""
        sources = {rule.row.source for rule, _ in found}
        plain, fallbacks, conditional = [], [], []
        for rule, text in found:
            condition = None if rule.condition in env.assumed else rule.condition
            match condition:
                case None:
                    plain.append(text)
                case Not(Valued(ref)) if ref in sources and ref != rule.row.source:
                    fallbacks.append(text)
                case _:
                    try:
                        test = self.test(condition, rule.row, env)
                    except Unable as error:
                        self.fail([rule], str(error))
                        self.compiled.discard(id(rule))
                        continue
                    needed = constant_of(rule.row) is not None and has_source(rule.row)
                    if needed and not _implies(condition, rule.row.source):
                        own = self.there(rule.row.source, rule.row, env)
                        if rule.row.source not in env.sure and not _denies(
                            condition, rule.row.source
                        ):
                            test = f"{own} and {_tight(test)}"
                    conditional.append(f"{_loose(text)} | when({test})")
        return " ?? ".join(conditional + plain + fallbacks)

    def when(self, text: str, rule: Rule, env: Env) -> str:
        condition = self.condition(rule, env)
        return f"{_loose(text)} | when({condition})" if condition else text

    def condition(self, rule: Rule, env: Env) -> str:
        if rule.condition is None or rule.condition in env.assumed:
            return ""
        return self.test(rule.condition, rule.row, env)

    def value(
        self, rule: Rule, type_name: str, element: Element | None, env: Env, many: bool
    ) -> str:
        """The expression of one rule, without its condition.  Raises Unable."""
        row = rule.row
        constant = constant_of(row)
        if constant is not None:
            return literal(constant, type_name)
        if row.assignment.startswith("= "):  # an expression that `choices` gives
            return row.assignment[2:]
        if row.assignment and not row.map:
            if (joined := self.joined(row, env)) is not None:
                return f"{joined} | replace(' ', '%20')" if type_name in ("uri", "url") else joined
            if type_name not in _TIMES or "convert v2 date" not in row.assignment:
                raise Unable(f"left to be written by hand: {row.assignment.strip('/ ')}")
        if not has_source(row) and row.source != self.map.source:
            raise Unable("no source")
        if row.source == self.map.source and self.is_segment:
            raise Unable("the row names no field")
        path = self.path(row.source, row, env)
        every = "[*]" if row.repeats and row.source not in env.bound and "-" in row.source else ""
        bound = element.binding if element is not None else None
        if self.fhir.is_primitive(type_name):
            return self.simple(row, path, every if many else "", every, type_name, bound)
        concept = self.concept(rule, type_name)
        if concept is not None:
            return f"{path}{every if many else ''} | each('{concept}')"
        if row.map:
            name = self.map_named(row.map)
            call = "refer" if type_name == "Reference" else "each"
            return f"{path}{every if many else ''} | {call}('{name}')"
        if type_name == "CodeableConcept" and row.datatype in ("CWE", "CE", "CNE"):
            return f"{path}{every if many else ''} | each('{row.datatype}_CodeableConcept')"
        if type_name == "Identifier" and row.datatype in ("CX", "EI"):
            name = "CX_Identifier" if row.datatype == "CX" else "EI_Identifier_Extension"
            return f"{path}{every if many else ''} | each('{name}')"
        raise Unable(f"the guide names no map from {row.datatype or 'this'} to {type_name}")

    def concept(self, rule: Rule, type_name: str) -> str | None:
        """The map that adds what a table knows to a concept or coding."""
        if type_name not in ("CodeableConcept", "Coding") or not rule.row.vocabulary:
            return None
        kind = rule.row.map.split("[")[0] or rule.row.datatype
        return self.codes.concept(kind, type_name, rule.row.vocabulary)

    def simple(
        self, row: Row, path: str, every: str, all_of: str, type_name: str, bound: str | None
    ) -> str:
        """A primitive value."""
        from_map = self.maps.get(self.map_named(row.map)) if row.map else None
        if from_map is not None and from_map.source in ("MSG", "CQ") and type_name == "code":
            path = f"{path} | each('{from_map.name}')"
        if row.vocabulary and type_name != "boolean" and self.codes.usable(row.vocabulary):
            return f"{path}{every} | table('{self.codes.named(row.vocabulary)}')"
        composite = from_map is not None and from_map.source not in SIMPLE
        if composite and from_map is not None and type_name not in ("code",):
            return f"{path}{every} | each('{from_map.name}')"
        if type_name in _TIMES:
            return f"try({path}{every} | {_TIMES[type_name]})"
        if type_name == "decimal":
            return f"{path}{every} | number_or_none"
        if type_name in _WHOLE_NUMBERS:
            return f"try({path}{every} | integer)"
        if type_name == "boolean":
            return f"try({path}{every} | boolean)"
        if type_name == "base64Binary":
            return f"{path}{every} | text | base64"
        if type_name == "xhtml":
            raise Unable("a narrative is more than a text")
        if type_name in ("uri", "url") and row.target.endswith("system"):
            return f"{path}{every} | table('CodingSystem')"
        if bound is not None:
            allowed = sorted(self.fhir.all_codes(bound))
            if len(allowed) > 16:
                return f"{path}{every} | squeeze"
            return f"{path}{every} | when({path} in [{', '.join(map(quoted, allowed))}])"
        if type_name in ("uri", "url", "canonical"):
            return f"{path}{every} | squeeze | replace(' ', '%20')"
        if type_name in _TOKENS:
            return f"{path}{every} | squeeze"
        if row.datatype in ("FT", "TX") or type_name == "markdown":
            return (
                f"{path}{all_of} | text | join('\\n')" if all_of and not every else f"{path} | text"
            )
        return f"{path}{every}"

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

    # --- sources --------------------------------------------------------------------------

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

    def test(self, condition: Condition, row: Row, env: Env) -> str:
        match condition:
            case Valued(ref):
                return self.there(ref, row, env)
            case Not(Valued(ref)):
                return f"not {self.there(ref, row, env)}"
            case Not(Among(ref, (code,), "")):
                return f"{self.path(ref, row, env)} != {quoted(code)}"
            case Not(Among(ref, codes, "")):
                return f"{self.path(ref, row, env)} not in {_listed(codes)}"
            case Not(part):
                return f"not ({self.test(part, row, env)})"
            case Among(ref, (), other):
                return f"{self.path(ref, row, env)} == {self.path(other, row, env)}"
            case Among(ref, (code,)):
                return f"{self.path(ref, row, env)} == {quoted(code)}"
            case Among(ref, codes):
                return f"{self.path(ref, row, env)} in {_listed(codes)}"
            case Counted(ref, "length", operator, number):
                return f"length({self.path(ref, row, env)}) {operator} {number}"
            case Counted(ref, _, operator, number):
                return f"count({self.path(ref, row, env)}[*]) {operator} {number}"
            case Both(parts, "and"):
                return " and ".join(_tight(self.test(part, row, env)) for part in parts)
            case Both(parts):
                return " or ".join(self.test(part, row, env) for part in parts)
        raise Unable("no such condition")

    def map_named(self, label: str) -> str:
        """``PL[location]`` → ``PL_Location``.  Raises Unable."""
        name = word(label).lower()
        for known in self.maps:
            if known.lower() == name:
                return known
        raise Unable(f"there is no map {label}")


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


def has_source(row: Row) -> bool:
    """Whether the row needs a field or component: ``PID`` alone is always there."""
    return bool(re.search(r"\d+$", row.source)) and ("-" in row.source or "." in row.source)


def constant_of(row: Row) -> str | None:
    found = _CONSTANT.match(row.assignment.strip())
    if found is None:
        return None
    return (found["text"] if found["text"] is not None else found["code"]).strip()


def is_constant(row: Row) -> bool:
    return constant_of(row) is not None


def note(rules: Iterable[Rule]) -> str:
    return ", ".join(dict.fromkeys(rule.row.source for rule in rules if rule.row.source))


def certain(extension: Obj) -> Obj:
    """An extension with a computed value: it is there when the value is."""
    found = {name: value for name, value, _ in extension.entries}
    names = [name for name in found if name.startswith("value")]
    extra = found.keys() - {"$for", "$if", "url", *names}
    value = found.get(names[0]) if len(names) == 1 else None
    if extra or not isinstance(value, str) or "|" not in value or "url" not in found:
        return extension
    out = Obj()
    variable = "found"
    for name, below, about in extension.entries:
        if name == "$for":
            out.add(name, below, about)
    out.add("$let", Obj([(variable, value, "")]))
    condition = found.get("$if", "")
    simple = isinstance(condition, str) and re.fullmatch(r"(exists\()?\$[\w.]+\)?|", condition)
    out.add("$if", f"exists(${variable})" if simple else f"({condition}) and exists(${variable})")
    for name, below, about in extension.entries:
        if name == "url":
            out.add(name, below, about)
        elif name == names[0]:
            out.add(name, f"= ${variable}", about)
    return out


def literal(text: str, type_name: str) -> str:
    """A constant in an expression, as its type wants it."""
    plain = type_name in _NUMBERS or type_name == "boolean"
    return text if plain else quoted(text)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _listed(codes: tuple[str, ...]) -> str:
    return "[" + ", ".join(quoted(code) for code in codes) + "]"


def _loose(text: str) -> str:
    return f"({text})" if " ?? " in text else text


def _tight(text: str) -> str:
    return f"({text})" if " or " in text else text


def _row_of(rules: list[Rule], source: str) -> Row:
    return next(rule.row for rule in rules if rule.row.source == source)


def _graft(tree: Tree, key: Key, child: Tree) -> None:
    at = tree.child(key)
    at.rules += child.rules
    for below, grandchild in child.children.items():
        _graft(at, below, grandchild)


def _implies(condition: Condition, source: str) -> bool:
    """Whether the condition can only hold when the source has a value."""
    match condition:
        case Valued(ref) | Among(ref) | Counted(ref):
            return ref == source or ref.startswith(f"{source}.")
        case Both(parts, "and"):
            return any(_implies(part, source) for part in parts)
    return False


def _settles(condition: Condition, source: str) -> bool:
    """Whether the condition already says if the source has a value."""
    return _implies(condition, source) or _denies(condition, source)


def _denies(condition: Condition, source: str) -> bool:
    match condition:
        case Not(Valued(ref)):
            return ref == source
        case Both(parts):
            return any(_denies(part, source) for part in parts)
    return False


__all__ = ["Env", "Made", "MapWriter", "Unable", "refs_of"]
