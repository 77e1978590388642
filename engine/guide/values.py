"""The value that a rule gives, as an expression."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.formats.fhir.definitions import Element
from engine.guide.conditions import Not, Valued, denies, implies, settles
from engine.guide.patches import Left
from engine.guide.rows import Row, constant_of, has_source
from engine.guide.sources import SIMPLE, Env, Sources, Unable
from engine.guide.spelling import NUMBERS, literal, loose, quoted, tight
from engine.guide.trees import Rule

_TIMES: Final = {"date": "date", "dateTime": "datetime", "instant": "instant", "time": "time"}
_WHOLE: Final = NUMBERS - {"decimal"}
_TOKENS: Final = frozenset({"code", "id", "uri", "url", "canonical", "oid", "uuid"})


class Values(Sources):
    """Expressions for rules; what cannot be compiled is kept in `left`."""

    def done(self, *rules: Rule) -> None:
        self.compiled.update(id(rule) for rule in rules)

    def fail(self, rules: Iterable[Rule], reason: str) -> None:
        for rule in rules:
            if id(rule) not in self.failed:
                self.failed.add(id(rule))
                self.left.append(Left(rule.row, reason))

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
                and not (rule.condition and settles(rule.condition, rule.row.source))
            ]
            self.done(*of)
            here = {row.source for row in sources}
            known = not sources or here & env.sure or (env.some and here >= env.some)
            if len(sources) < len(of) or known:
                if not found and len(constants) == 1:
                    return constant if type_name not in NUMBERS else f"= {constant}"
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
                    if needed and not implies(condition, rule.row.source):
                        own = self.there(rule.row.source, rule.row, env)
                        if rule.row.source not in env.sure and not denies(
                            condition, rule.row.source
                        ):
                            test = f"{own} and {tight(test)}"
                    conditional.append(f"{loose(text)} | when({test})")
        return " ?? ".join(conditional + plain + fallbacks)

    def when(self, text: str, rule: Rule, env: Env) -> str:
        condition = self.condition(rule, env)
        return f"{loose(text)} | when({condition})" if condition else text

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
        if type_name in _WHOLE:
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
