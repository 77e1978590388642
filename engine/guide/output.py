"""A map of the guide as a map of the mapping language."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from engine.formats.fhir.definitions import Element
from engine.guide.conditions import ConditionError, denies, implies
from engine.guide.patches import Left
from engine.guide.references import References
from engine.guide.rows import Row, has_source, is_constant
from engine.guide.sources import Env, Made, Unable
from engine.guide.spelling import tight
from engine.guide.targets import TargetError
from engine.guide.text import Lst, Obj, Out
from engine.guide.trees import Key, Rule, Tree, graft, note, plant, read, row_of


class MapWriter(References):
    """Writes one map of the guide, and the maps of resources that it refers to."""

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
                    graft(plain, below, child)
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
            self.parts(body, plain.rules, type_name, inner, self.objects(plain, type_name))
        before = len(body.entries)
        table = self.coded(plain, type_name, inner)
        if table is not None:
            return [self.headed(head, table)] if head.entries else [table]
        self.elements(body, plain, type_name, inner)
        if len(body.entries) == before and not plain.rules:
            return []
        return [certain(body) if type_name == "Extension" else body]

    def objects(self, tree: Tree, owner: str) -> set[str]:
        """The elements of ``owner`` that are no datatype of their own (Timing.repeat)."""
        kind = self.fhir.type(owner)
        found = {key.name: kind.keys.get(key.name) for key in tree.children} if kind else {}
        return {
            name
            for name, one in found.items()
            if one is not None and not one[0].many and "." in one[1]
        }

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
            if source in env.sure or source in env.bound or (only and denies(only, source)):
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
                tests = [self.there(r, row_of(rules, r), env) for r in sorted(sources)]
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
                    implied = implies(condition, rules[0].row.source)
                    head.add(key, text if implied else f"{before} and {tight(text)}", about)
                else:
                    head.add("$if", text, "" if head.entries else note(rules))
                env = replace(env, assumed=env.assumed | {condition})
        return head, env

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


def certain(extension: Obj) -> Obj:
    """An extension with a computed value: it is there when the value is."""
    found = {name: value for name, value, _ in extension.entries}
    names = [name for name in found if name.startswith("value")]
    if isinstance(nested := found.get("extension"), Lst) and not names:
        return _some(extension, nested)
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


def _some(extension: Obj, nested: Lst) -> Obj:
    """An extension of extensions with computed values: it is there when one of them is."""
    values: list[str] = []
    for below, _ in nested.items:
        given = {name: value for name, value, _ in below.entries} if isinstance(below, Obj) else {}
        let = given.get("$let")
        value = let.entries[0][1] if isinstance(let, Obj) else None
        if not isinstance(value, str) or given.get("$if") != "exists($found)":
            return extension
        values.append(f"exists({value.removeprefix('= ')})")
    out = Obj([entry for entry in extension.entries if entry[0] == "$for"])
    out.add("$if", " or ".join(values))
    out.entries += [entry for entry in extension.entries if entry[0] not in ("$for", "$if")]
    return out
