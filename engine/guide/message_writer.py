"""A message's plan as a mapping: one map for each repeating group, one entry for each resource."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.guide.message_plan import Groups, Part, Plan, Resource
from engine.guide.message_tables import Label

Tree = dict[str, Any]

_NAME = re.compile(r"\$([a-z]\w*)")
_BOUND = frozenset({"now", "message", "channel", "index"})


@dataclass(frozen=True, slots=True)
class Style:
    """What the tables do not say: keys, who is authoritative, how FHIR writes an element."""

    keys: Mapping[str, Sequence[str]]
    """For each resource (label or type): the map that gives its URL, and its arguments."""
    owned: frozenset[str]
    """Types this message is authoritative for; others are only created when not there."""
    lists: frozenset[str]
    """Elements that are lists, as ``Type.path``."""
    defaults: Mapping[str, Sequence[Tree]]
    """What a resource has where no part says it."""
    only: Mapping[str, str]
    """When a resource is made at all, beside the conditions of its parts."""
    beside: Mapping[str, Tree]
    """What stands beside a reference, by ``Type.path``."""
    starts: Mapping[str, str]
    """Groups that no structure has, by the segment that starts each."""
    requests: Mapping[str, Tree]
    """How an entry is sent where it is neither put nor posted, by type."""
    arguments: Mapping[str, Sequence[str]]
    """The arguments of each segment map."""


class MessageWriter:
    """Writes the ``let``, ``out.entry`` and ``maps`` of one message."""

    def __init__(self, plan: Plan, style: Style) -> None:
        self.plan = plan
        self.style = style
        self.names = _names(plan)
        self.used: set[str] = set()
        self.needs = self._needs()

    def let(self) -> Tree:
        return self._lets(())

    def entries(self) -> list[Any]:
        return self._entries(())

    def maps(self) -> Tree:
        made = {}
        for scope in self.plan.scopes()[1:]:
            tree: Tree = {"args": [group_name(scope), *self._inherited(scope)]}
            lets = self._lets(scope)
            if lets:
                tree["let"] = lets
            made[scope[-1]] = {**tree, "out": self._entries(scope)}
        return made

    # One scope.

    def _needs(self) -> dict[Groups, frozenset[str]]:
        """The names that each scope needs, its own and those of the scopes inside it."""
        needs: dict[Groups, frozenset[str]] = {}
        for scope in sorted(self.plan.scopes(), key=len, reverse=True):
            found = set[str]()
            for resource in self.plan.inside(scope):
                found |= _free(self._entry(resource, scope))
                found |= _free([self._key(resource)])
                if resource.each:
                    found.discard(resource.each.lower())
            for child in self.plan.children(scope):
                found |= needs[child] - self._own(child) - {"number"}
            needs[scope] = frozenset(found - _BOUND)
            needs[scope] |= self._of_keys(scope, needs[scope])
        return needs

    def _of_keys(self, scope: Groups, names: frozenset[str]) -> set[str]:
        """What the keys of the resources of this scope need themselves."""
        found: set[str] = set()
        for resource in self.plan.inside(scope):
            if not resource.each:
                found |= _free([self._key(resource)])
        return found - _BOUND

    def _own(self, scope: Groups) -> set[str]:
        """The names that a scope gives itself: its group, segments and resources."""
        own = {group_name(scope)} if scope else {"time"}
        for name in self._segment_names():
            if self._stands(name.upper(), scope):
                own.add(name)
        for resource in self.plan.inside(scope):
            own.add(self.names[resource.label])
        return own

    def _stands(self, segment: str, scope: Groups) -> bool:
        """Whether the scope is the one to take the segment from: the nearest that holds it."""
        home = self.plan.home(segment, scope)
        if home is not None:
            return self._holder(home) == scope
        places = self.plan.segments[segment]
        return any(place[: len(scope)] == scope for place in places)

    def _holder(self, groups: Groups) -> Groups:
        while groups and not self.plan.groups.get(groups, False):
            groups = groups[:-1]
        return groups

    def _segment_names(self) -> set[str]:
        return {name.lower() for name in self.plan.segments}

    def _inherited(self, scope: Groups) -> list[str]:
        return sorted(self.needs[scope] - self._own(scope))

    def _lets(self, scope: Groups) -> Tree:
        lets: Tree = {}
        below = set(self.needs[scope])
        if not scope and "time" in below:
            lets["time"] = "= $now"
        group = f"${group_name(scope)}" if scope else ""
        for name in sorted(below & self._own(scope)):
            if name in self._segment_names():
                lets[name] = "= " + ".".join(part for part in (group, name.upper()) if part)
        wanted = {self.names[r.label]: r for r in self.plan.inside(scope) if not r.each}
        for name, resource in wanted.items():
            lets[name] = "= " + self._key(resource)
        return lets

    def _entries(self, scope: Groups) -> list[Any]:
        entries: list[Any] = [self._entry(resource, scope) for resource in self.plan.inside(scope)]
        for child in self.plan.children(scope):
            name = group_name(child)
            arguments: Tree = {name: f"= ${name}"}
            for inherited in self._inherited(child):
                given = "index" if inherited == "number" else inherited
                arguments[inherited] = f"= ${given}"
            entries.append(
                {"$for": f"{name} in {self._path(scope, child)}", "$use": child[-1],
                 "$with": arguments}
            )  # fmt: skip
        return entries

    def _path(self, scope: Groups, child: Groups) -> str:
        """Groups have the structure's names, or begin with a segment: PERSON with PID."""
        if child[-1] in self.style.starts:
            return f"group('{self.style.starts[child[-1]]}')"
        steps = [f"${group_name(scope)}"] if scope else []
        return ".".join([*steps, child[-1]]) + "[*]"

    # One resource.

    def _key(self, resource: Resource) -> str:
        label, type_ = str(resource.label), resource.label.type
        name, first, *more = self.style.keys.get(label) or self.style.keys[type_]
        given = [f"'{name}'", *(self._argument(each, resource) for each in more)]
        first = self._argument(first, resource)
        return f"{_bracketed(first)} | each({', '.join(given)})"

    def _argument(self, written: str, resource: Resource) -> str:
        """A segment, ``@Type`` or ``@Type[label]`` as the URL of such a resource, or an expression
        as it is."""
        if written.startswith("@"):
            for type_ in written[1:].split("|"):
                for label, aim in self.plan.resources.items():
                    around = resource.scope[: len(aim.scope)] == aim.scope
                    if type_ in (label.type, str(label)) and around and not aim.each:
                        return f"${self.names[label]}"
            return "first([])"
        if written == "number":
            return "$index" if resource.each else "$number" if resource.scope else "1"
        return re.sub(r"\b([A-Z][A-Z0-9]{2})\b", lambda found: f"${found[1].lower()}", written)

    def _entry(self, resource: Resource, scope: Groups) -> Tree:
        name = self.names[resource.label]
        entry: Tree = {"$id": name}
        if resource.each:
            segment = resource.each.lower()
            entry["$for"] = f"{segment} in {self._repeats(resource.parts[0], scope)}"
            entry["$let"] = {name: "= " + self._key(resource)}
        entry["$if"] = f"= ${name}"
        only = self.style.only.get(str(resource.label))
        for when in {only, *resource.whens} if len(set(resource.whens)) == 1 else (only,):
            if when is not None:
                entry["$if"] += f" and {_bracketed(when)}"
        entry["fullUrl"] = f"= ${name}"
        entry["resource"] = self._resource(resource, scope)
        if resource.label.type in self.style.requests:
            entry["request"] = self.style.requests[resource.label.type]
        elif resource.label.type not in self.style.owned:
            entry["request"] = {"method": "POST"}
        return entry

    def _resource(self, resource: Resource, scope: Groups) -> Tree:
        tree: Tree = {"resourceType": resource.label.type}
        for reference in resource.references:
            self._refer(tree, resource, reference.path, reference.target, scope)
        parts = [self._part(part, resource, scope) for part in resource.parts]
        if len(set(resource.whens)) == 1:
            # Said once, by the entry.
            for part, written in zip(resource.parts, parts, strict=True):
                if part.segment == resource.parts[0].segment:
                    written.pop("$if", None)
        by_type = self.style.defaults.get(resource.label.type, ())
        parts += self.style.defaults.get(str(resource.label), by_type)
        if len(parts) == 1 and not {"$if", "$for"} & parts[0].keys():
            return {**tree, **parts[0]}
        return {**tree, "$merge": parts}

    def _part(self, part: Part, resource: Resource, scope: Groups) -> Tree:
        self.used.add(part.map)
        tree: Tree = {}
        looped = part.segment != resource.each and (
            part.repeats or self._holder(part.groups) != scope
        )
        if looped:
            tree["$for"] = self._loops(part, scope)
        if part.when:
            tree["$if"] = "= " + part.when
        body: Tree = {
            "$refer" if part.refers else "$use": part.map,
            "$with": {
                name: f"= {self._value(name, scope)}" for name in self.style.arguments[part.map]
            },
        }
        if part.under:
            many = f"{resource.label.type}.{part.under}" in self.style.lists
            body = {part.under: [body] if many else body}
        return tree | body

    def _value(self, name: str, scope: Groups) -> str:
        """What a segment map is given for an argument."""
        if re.fullmatch(r"[a-z][a-z0-9]{2}", name) and name not in self._segment_names():
            # A segment that the structure has no place for, in case it comes anyway.
            return f"${group_name(scope)}.{name.upper()}" if scope else name.upper()
        if re.fullmatch(r"[a-z][a-z0-9]{2}s", name):
            # All of a segment.
            path = name[:3].upper() + "[*]"
            return f"${group_name(scope)}.{path}" if scope else path
        return f"${name}"

    def _repeats(self, part: Part, scope: Groups) -> str:
        group = [f"${group_name(scope)}"] if scope else []
        return ".".join([*group, part.segment]) + "[*]"

    def _loops(self, part: Part, scope: Groups) -> Any:
        """Through the repeating groups between, to the segment."""
        loops, at = self._through(scope, part.groups)
        loops.append(f"{part.segment.lower()} in {self._repeats(part, at)}")
        return loops[0] if len(loops) == 1 else loops

    def _through(self, scope: Groups, groups: Groups) -> tuple[list[str], Groups]:
        """The loops from a scope to the innermost repeating group, and that group."""
        loops, at = [], scope
        for length in range(len(scope) + 1, len(groups) + 1):
            inner = groups[:length]
            if self.plan.groups.get(inner, False):
                loops.append(f"{group_name(inner)} in {self._path(at, inner)}")
                at = inner
        return loops, at

    def _refer(
        self, tree: Tree, resource: Resource, path: str, target: Label, scope: Groups
    ) -> None:
        aim = self.plan.resources.get(target)
        if aim is None:
            return
        name = self.names[target]
        value: Tree = {"reference": f"= ${name}"}
        inner = aim.scope[: len(scope)] == scope and (aim.scope != scope or aim.each)
        if aim.each and aim.each == resource.each and aim.scope == scope:
            value = {"reference": "= " + self._key(aim)}
        elif inner:
            many = self._is_list(resource.label.type, path)
            self._place(
                tree, resource.label.type, path, self._inner(aim, scope, many=many), many=many
            )
            return
        self._place(tree, resource.label.type, path, value, many=False)

    def _inner(self, aim: Resource, scope: Groups, *, many: bool) -> Tree:
        """References to a resource inside a group or of a segment: to all, or to the first."""
        loops, at = self._through(scope, aim.scope)
        lets: Tree = {}
        if aim.each:
            loops.append(f"{aim.each.lower()} in {self._repeats(aim.parts[0], at)}")
        if not many:
            for loop in loops:
                name, _, path = loop.partition(" in ")
                lets[name] = f"= {path.removesuffix('[*]')}"
        if not aim.each:
            self._bind(self._key(aim), aim.scope, at, lets)
        value: Tree = {"$for": loops[0] if len(loops) == 1 else loops} if many else {}
        if lets:
            value["$let"] = lets
        if len(set(aim.whens)) == 1:
            value["$if"] = "= " + aim.whens[0]
        number = "$index" if many else "1"
        value["reference"] = "= " + re.sub(r"\$(number|index)\b", number, self._key(aim))
        return value

    def _bind(self, key: str, scope: Groups, at: Groups, lets: Tree) -> None:
        """The segments and resources of the scope that a key needs."""
        inside = {self.names[one.label]: one for one in self.plan.inside(scope) if not one.each}
        for name in sorted(_free([key]) - lets.keys()):
            if name in self._segment_names():
                home = self.plan.home(name.upper(), scope)
                if home is not None and self._holder(home) == scope:
                    lets[name] = f"= ${group_name(at)}.{name.upper()}"
            elif name in inside:
                self._bind(self._key(inside[name]), scope, at, lets)
                lets[name] = "= " + self._key(inside[name])

    def _is_list(self, type_: str, path: str) -> bool:
        """Whether any element of the path is a list."""
        steps = path.split(".")
        ends = range(1, len(steps) + 1)
        return any(f"{type_}.{'.'.join(steps[:end])}" in self.style.lists for end in ends)

    def _place(self, tree: Tree, type_: str, path: str, value: Tree, *, many: bool) -> None:
        at = type_
        steps = path.split(".")
        for step in steps[:-1]:
            at = f"{at}.{step}"
            if at in self.style.lists:
                inner: Tree = {}
                if many:
                    for key in ("$for", "$let", "$if"):
                        if key in value:
                            inner[key] = value.pop(key)
                inner |= self.style.beside.get(at, {})
                tree.setdefault(step, []).append(inner)
                tree = inner
            else:
                tree = tree.setdefault(step, {})
        at = f"{at}.{steps[-1]}"
        value |= self.style.beside.get(at, {})
        if at in self.style.lists:
            if value not in tree.setdefault(steps[-1], []):
                tree[steps[-1]].append(value)
        else:
            tree.setdefault(steps[-1], value)


def group_name(scope: Groups) -> str:
    """The variable of a group; no resource has such a name."""
    return f"{scope[-1].lower()}_group" if scope else ""


def _names(plan: Plan) -> dict[Label, str]:
    """A variable for each resource: its type, and its number where it is not the first."""
    types = [label.type for label in plan.resources]
    names = {}
    for label in plan.resources:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", label.type).lower()
        number = "" if label.number == "1" else re.sub(r"\W", "_", label.number)
        names[label] = name if types.count(label.type) == 1 else f"{name}_{number}".rstrip("_")
    return names


def _bracketed(expression: str) -> str:
    return f"({expression})" if " or " in expression or " ?? " in expression else expression


def _free(tree: Any) -> set[str]:
    """The names that expressions in a tree use and nothing in the tree gives."""
    found: set[str] = set()
    if isinstance(tree, str):
        return set(_NAME.findall(tree))
    if isinstance(tree, list):
        for item in tree:
            found |= _free(item)
        return found
    if isinstance(tree, dict):
        given: set[str] = set()
        loops = tree.get("$for", [])
        for loop in [loops] if isinstance(loops, str) else loops:
            name, _, over = loop.partition(" in ")
            found |= _free(over) - given
            given.add(name)
        for key, value in tree.get("$let", {}).items():
            found |= _free(value) - given
            given.add(key)
        for key, value in tree.items():
            if key not in ("$for", "$let", "$id"):
                found |= _free(value) - given
    return found
