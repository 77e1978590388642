"""References: to the resource of a datatype map, or to one that several rows describe."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import replace

from engine.guide.rows import has_source
from engine.guide.sources import Env, Made, Unable
from engine.guide.text import Lst, Obj, Out
from engine.guide.trees import Key, Tree, note, row_of
from engine.guide.values import Values


class References(Values):
    """References, and the maps that they need, in `below`."""

    @abstractmethod
    def elements(self, out: Obj, tree: Tree, owner: str, env: Env) -> None:
        """Add the children of ``tree`` to an object of the type ``owner``."""

    def given(self, name: str, path: str) -> Obj:
        known = self.maps.get(name)
        arg = known.source.lower() if known else name.split("_")[0].lower()
        made = next((made for made in self.below if made.name == name), None)
        given = Obj()
        given.add(made.args[0] if made is not None else arg, f"= {path}")
        return given

    def headed(self, head: Obj, text: str) -> Obj:
        body = Obj(list(head.entries))
        body.add("$first", Lst([(text, "")]))
        return body

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
        inner = type(self)(self.map, self.maps, self.fhir, self.codes)
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
            tests = [inner.there(r, row_of(rules, r), below) for r in sorted(sources)]
            guard = " or ".join(tests)
        if not single and len(entry.rules) == 1:
            guard = " or ".join(inner.there(r, row_of(rules, r), below) for r in sorted(sources))
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
