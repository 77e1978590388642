"""Compiled mappings and expressions: immutable, pure, shared by every task and thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.contract import Document, MapContext, Payload
from engine.formats import FORMATS
from engine.formats.delimited import DelimitedTree, Layout
from engine.formats.xml import XML_FORMATS, XmlTree, xml_root
from engine.mapping.failures import failed
from engine.mapping.made import Made, Making
from engine.mapping.program import Program, WrongFormat, converted
from engine.mapping.runstate import Code, Run
from engine.mapping.schemas import Schemas
from engine.mapping.tracing import Rule
from engine.mapping.values import NotText, leaf, text_of, truth


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """One mapping file with everything it imports."""

    name: str
    source_format: str
    target_format: str
    target_namespaces: Mapping[str, str]
    """Of an XML target, by prefix: those that are written on its root."""
    source_layout: Layout
    target_layout: Layout
    """Of tables."""
    schemas: Schemas
    version: str
    """A hash of the content of the file and its imports."""
    params: Mapping[str, str]
    """Names and types (text, number, boolean) of what the route must give."""
    location: str
    file: str
    """Where it stands, as diagnostics call it."""
    making: Making = field(repr=False, compare=False)
    traced: Callable[[], CompiledMapping | None] = field(repr=False, compare=False)
    """Compiles the instrumented form, for explaining and coverage."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every line that can write a value, in the file and in what it imports or extends."""
        return self.prepare().rules

    @property
    def own_rules(self) -> tuple[Rule, ...]:
        """Those of its own file."""
        return tuple(rule for rule in self.rules if rule.position.file == self.file)

    def prepare(self) -> Made:
        """What it runs.  The first call may take 0.1 s, and so does the first message without it;
        any thread may do it while others use the mapping."""
        return self.making.ready or self.making.made()

    def apply(self, document: Document, context: MapContext) -> Any:
        """The target tree.  The same document and context always give the same tree.  Equal parts
        of it may be one object: copy what you change.

        Raises MappingError, and nothing else; its location is ``file:line:column``.
        """
        return self.finish(self.begin(document, context))

    def begin(self, document: Document, context: MapContext) -> Run:
        """The first half of `apply`: a run in which nothing is computed yet."""
        try:
            run = self.prepare().program.begin(document, context)
        except WrongFormat as error:
            raise failed("R402", self.location, f"this mapping reads {error}") from None
        if self.schemas.source is not None:
            self.schemas.check_source(document)
        return run

    def finish(self, run: Run) -> Any:
        """The second half."""
        made = self.prepare()
        for cell, code in made.lets:
            run[cell] = code(run)
        tree = made.out(run)
        if made.completing is not None and tree is not None:
            tree = made.completing(run, tree)
        run.clear()  # what a run computed lazily refers to the run: no work for the collector
        if tree is None:
            raise failed("R103", self.location, "the mapping gives nothing for this message")
        return tree

    def render(
        self, document: Document, context: MapContext, charset: str | None = None
    ) -> Payload:
        """`apply`, written in the target's format.  Raises MappingError or FormatError."""
        return self.written(self.apply(document, context), charset)

    def written(self, tree: Any, charset: str | None = None) -> Payload:
        """A tree of `apply` in the target's format.  Raises FormatError, or MappingError when it
        breaks the schema of ``to:``."""
        if self.target_format in XML_FORMATS:
            tree = XmlTree(tree, self.target_namespaces)
            if self.schemas.target is not None:
                self.schemas.check_target(xml_root(tree, self.target_format))
        elif self.target_format == "delimited":
            tree = DelimitedTree(tree, self.target_layout)
        return FORMATS[self.target_format].write(tree, charset=charset)

    def wrong_params(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """What a route's ``params:`` lack, have too much, or have of the wrong type."""
        problems = [
            f"parameter '{name}' is missing" if name not in given else f"'{name}' is no {kind}"
            for name, kind in self.params.items()
            if converted(given.get(name), kind) is None
        ]
        problems += [f"no parameter '{name}'" for name in given if name not in self.params]
        return tuple(problems)


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression over a document: a route's ``when:``, an index key, an ordering key."""

    source: str
    program: Program
    value_code: Code
    test_code: Code

    def value(self, document: Document, context: MapContext) -> Any:
        """None when missing.  Raises MappingError."""
        try:
            return self.value_code(self.program.begin(document, context))
        except WrongFormat as error:
            raise failed("R402", self.source, f"this expression reads {error}") from None

    def test(self, document: Document, context: MapContext) -> bool:
        """Whether it is true: missing, NULL, false, 0 and an empty list are not."""
        try:
            found = self.test_code(self.program.begin(document, context))
        except WrongFormat as error:
            raise failed("R402", self.source, f"this expression reads {error}") from None
        return found if found.__class__ is bool else truth(found)

    def text(self, document: Document, context: MapContext) -> str | None:
        """The value as text; of a list its first item; None for missing, NULL and objects."""
        run = self.program.begin(document, context)
        value = leaf(run, self.value_code(run))
        if value.__class__ is list:
            value = value[0] if value else None
        if value is None:
            return None
        try:
            return text_of(value)
        except NotText:
            return None
