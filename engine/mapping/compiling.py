"""From a mapping file to a `CompiledMapping`, from a scalar to an `Expression`.

``nodes → parts of the file → imports → expression trees → checks → closures``; compiled once,
nothing of the YAML is touched again when a message comes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from types import MappingProxyType

from engine.formats.delimited import Layout
from engine.formats.fhir.definitions import definitions
from engine.formats.hl7v2.dictionary import components
from engine.mapping.ast import SEGMENTED, Segment
from engine.mapping.bundles import completion
from engine.mapping.closures import Compiled
from engine.mapping.compiled import CompiledMapping, Expression
from engine.mapping.expressions import ExpressionCompiler
from engine.mapping.fhir_checks import FhirChecker
from engine.mapping.functions import BUILT_IN
from engine.mapping.functions.signature import Function
from engine.mapping.grammar import parse_expression
from engine.mapping.hl7_outputs import check_hl7_output
from engine.mapping.imports import read_imports, warn_unused_imports
from engine.mapping.library import EmptyLibrary, Library
from engine.mapping.mapfile import (
    MapFile,
    canonical,
    fhir_version,
    read_file,
    target_resource,
    target_types,
    target_version,
)
from engine.mapping.message_headers import header_completion
from engine.mapping.namespaces import known_namespaces, path_namespaces
from engine.mapping.outputs import OutputCompiler, with_lets
from engine.mapping.program import finish, root_scope
from engine.mapping.reads import what_is_read
from engine.mapping.runstate import Code
from engine.mapping.schemas import read_schemas
from engine.mapping.scope import Binding, MapCode, Scope, Unit
from engine.syntax import Diagnostic, Diagnostics, Node, Scalar, Severity
from engine.syntax.nearest import did_you_mean

_PATH = re.compile(r"(?:\$\w+|[A-Z][A-Z0-9]{2}-\d+(?:\[1\])?)(?:\.\d+)*")


def compile_mapping(
    root: Node,
    *,
    diagnostics: Diagnostics,
    library: Library | None = None,
    name: str = "",
    trace: bool = False,
    notes: bool = False,
) -> CompiledMapping | None:
    """The mapping of a file, or None when a diagnostic is an error.

    ``name`` is the file's (``adt-to-fhir``), which `mapping:` must repeat.  ``trace`` compiles the
    instrumented form that `engine.mapping.explain` runs.  With ``notes``, what is only worth a look
    is said as well.
    """
    own = Diagnostics()
    library = library or EmptyLibrary()
    file = read_file(root, name, library, own)
    mapping: CompiledMapping | None = None
    if file is not None and file.source is not None and file.target is not None:
        compilation = _Compilation(file, library, own, trace)
        compilation.unit.notes = notes
        mapping = compilation.compile()
    for one in own.items:
        # What a base only warns of is said of the base, and an overlay may well cause it.
        if file is None or not file.bases or one.severity is Severity.ERROR or _is_own(one, root):
            diagnostics.repeat(one)
    return None if own.has_errors else mapping


def check_library(
    root: Node, *, diagnostics: Diagnostics, library: Library | None = None, name: str = ""
) -> None:
    """Diagnostics for a file that is only imported: each of its maps is compiled."""
    library = library or EmptyLibrary()
    file = read_file(root, name, library, diagnostics, only_imported=True)
    if file is not None:
        file.source = file.source or "hl7v2"
        file.target = file.target or "fhir"
        # What it imports is checked as files of its own; an overlay may change what those call.
        compilation = _Compilation(file, library, diagnostics, False, only_own=not file.bases)
        for map_name in file.maps:
            compilation.map_named(map_name)
        compilation.check_output()


def compile_expression(
    scalar: Scalar,
    *,
    format: str,
    diagnostics: Diagnostics,
    names: Iterable[str] = (),
    functions: Mapping[str, Function] = BUILT_IN,
    namespaces: Mapping[str, str] = MappingProxyType({}),
    layout: Layout | None = None,
) -> Expression | None:
    """A single expression; its ``=`` may be left out.  ``names`` are variables that come with the
    context's params, as text; ``namespaces`` those of XML paths, by prefix; ``layout`` that of
    a table, commas and a header when it is not given.

    None after a diagnostic.
    """
    own = Diagnostics()
    unit = Unit(format, own, functions)
    unit.namespaces = path_namespaces(format, namespaces)
    unit.layout_of_source = layout or unit.layout_of_source
    tree = parse_expression(scalar, format, own)
    expression: Expression | None = None
    if tree is not None:
        parameters = dict.fromkeys(names, "text")
        scope = root_scope(unit, parameters)
        compiler = ExpressionCompiler(unit, scope, scalar)
        tested = compiler.test(tree).code
        value = Compiled(tested) if isinstance(tree, Segment) else compiler.value(tree)
        program = finish(unit, scope, parameters, str(scalar.position))
        expression = Expression(str(scalar.position), program, value.code, tested)
    diagnostics.extend(own)
    return None if own.has_errors else expression


@dataclass
class _Compilation:
    file: MapFile
    library: Library
    diagnostics: Diagnostics
    trace: bool
    done: dict[str, MapCode] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    only_own: bool = False
    """Imported maps are not compiled; nothing of this compilation will run."""

    def __post_init__(self) -> None:
        assert self.file.source is not None  # noqa: S101
        assert self.file.target is not None  # noqa: S101
        self.unit = Unit(
            self.file.source,
            self.diagnostics,
            self.library.functions,
            trace=self.trace,
            target=self.file.target,
        )
        self.unit.namespaces = self.file.source_namespaces
        self.unit.layout_of_source = self.file.source_layout
        self.unit.version = self.file.version
        self.unit.messages = self.file.messages
        self.outputs = OutputCompiler(self.unit, self.file.target)
        self.outputs.namespaces = known_namespaces(self.file.target, self.file.target_namespaces)
        self.outputs.version = target_version(self.file.root)
        self.imports = read_imports(self.file, self.library, self.diagnostics)
        self.maps, self.unit.tables = self.imports.maps, self.imports.tables
        self.unit.map_named = self.map_named
        self.unit.map_names = lambda: self.maps
        if self.file.out is not None:
            self.unit.what_is_read = partial(what_is_read, self.file.let, self.file.out, self.maps)

    def compile(self) -> CompiledMapping | None:
        file, unit, library = self.file, self.unit, self.library
        unit.readings = Counter(_PATH.findall(canonical(file.root)))
        scope = root_scope(unit, file.parameters)
        lets: list[tuple[int, Code]] = []
        inner = Scope(scope)
        if file.let is not None:
            lets = self.outputs.lets(file.let, inner)
        assert file.out is not None  # noqa: S101
        self.read_types()
        out = self.outputs.compile(file.out, inner, "")
        used = set(self.done)
        for name in file.maps:
            self.map_named(name)
        self.check_output()
        if not self.trace:
            self.outputs.warn_unused(inner)
            self.warn_unused(used, scope)
            self.warn_unused_imports()
        program = finish(unit, scope, file.parameters, str(file.root.position))
        schemas = read_schemas(file.root, library.attachment, self.diagnostics)
        return CompiledMapping(
            name=file.name or _name(file),
            source_format=file.source or "",
            target_format=file.target or "",
            target_namespaces=dict(file.target_namespaces),
            source_layout=file.source_layout,
            target_layout=file.target_layout,
            schemas=schemas,
            version=self.version(schemas.digest),
            params=dict(file.parameters),
            location=str(file.out.position),
            rules=tuple(self.outputs.rules),
            own_rules=tuple(
                rule
                for rule in self.outputs.rules
                if not file.bases or rule.position.file == file.root.position.file
            ),
            program=program,
            lets=tuple((cell, self.outputs.whole(code)) for cell, code in lets),
            out=self.outputs.whole(out.code),
            completing=header_completion(file.root.get("to"))
            if file.target == "hl7v2" and not self.trace
            else completion(unit, file.out.position),
            traced=lambda: _Compilation(file, library, Diagnostics(), True).compile(),
        )

    def read_types(self) -> None:
        """The maps that ``$copy`` calls for fields of a datatype."""
        for key, value in target_types(self.file.root):
            found = self.map_named(value.text)
            if found is None or len(found.arguments) != 1 or not components(key.text):
                self.diagnostics.at(
                    "M304",
                    value if components(key.text) else key,
                    "types: names HL7 datatypes, and for each a map of one argument",
                    help=did_you_mean(value.text, self.maps),
                )
            else:
                self.outputs.types[key.text] = found

    def check_output(self) -> None:
        """FHIR's definitions, for what this file writes itself; imports are checked as files."""
        file = self.file
        if file.target == "hl7v2" and file.out is not None and not self.trace:
            check_hl7_output(file.out, file.root.get("to"), self.diagnostics)
        version = fhir_version(file.root)
        if self.trace or file.target != "fhir" or version is None:
            return
        checker = FhirChecker(
            definitions(version),
            self.diagnostics,
            self.maps,
            self.unit.tables,
            file.source or "",
            whole=file.out is not None,
        )
        if file.out is not None:
            checker.mapping(file.out, target_resource(file.root))
        for definition in file.maps.values():
            checker.map(definition)

    def map_named(self, name: str) -> MapCode | None:
        """The compiled map; a map that comes back to itself is an error."""
        found = self.done.get(name)
        if found is not None:
            if name in self.open:
                chain = " → ".join([*self.open[self.open.index(name) :], name])
                self.diagnostics.at(
                    "M307",
                    self.maps[name].key,
                    f"map '{name}' uses itself: {chain}",
                    help="a mapping always ends: maps cannot recurse",
                )
                return MapCode(name, found.arguments, found.cells, lambda run: None)
            return found
        definition = self.maps.get(name)
        if definition is None:
            return None
        unit = self.unit
        scope = Scope()
        scope.sealed = True
        cells = []
        for argument in definition.arguments:
            cell = unit.layout.cell()
            cells.append(cell)
            scope.names[argument.text] = Binding(cell, argument.position)
            if self.trace:
                origin = scope.names[argument.text].origin = unit.layout.cell()
                unit.origins[cell] = origin
        names = tuple(argument.text for argument in definition.arguments)
        if self.only_own and name not in self.file.maps:
            return self.done.setdefault(name, MapCode(name, names, tuple(cells), lambda run: None))
        made = self.done[name] = MapCode(name, names, tuple(cells))
        self.open.append(name)
        format, unit.format = unit.format, definition.format or unit.format
        namespaces = unit.namespaces
        if definition.format is not None:
            unit.namespaces = definition.namespaces
        inner = Scope(scope)
        lets = [] if definition.let is None else self.outputs.lets(definition.let, inner)
        body = self.outputs.compile(
            definition.out, inner, name, inside=self.outputs.target in SEGMENTED
        ).code
        made.keys = tuple(self.outputs.expression(key, inner).code for key in definition.identity)
        made.body = self.outputs.whole(with_lets(tuple(lets), body) if lets else body)
        given = [scope.names[name] for name in names]
        made.reads = tuple(None if one.whole else frozenset(one.reads) for one in given)
        unit.format, unit.namespaces = format, namespaces
        self.open.pop()
        self.outputs.warn_unused(scope)
        self.outputs.warn_unused(inner)
        return made

    def warn_unused(self, used: set[str], scope: Scope) -> None:
        for name, definition in self.file.maps.items():
            if name not in used:
                self.diagnostics.at(
                    "M602", definition.key, f"map '{name}' is never used", help="remove it"
                )
        for name, key in self.file.table_keys.items():
            if name not in self.unit.used_tables:
                self.diagnostics.at("M603", key, f"table '{name}' is never used", help="remove it")
        parameters = self.file.root.get("params")
        for name in self.file.parameters:
            if not scope.names[name].used and parameters is not None:
                key_node = getattr(parameters, "key", lambda _: None)(name)
                if isinstance(key_node, Scalar):
                    self.diagnostics.at(
                        "M604", key_node, f"parameter '{name}' is never used", help="remove it"
                    )

    def warn_unused_imports(self) -> None:
        """After everything is compiled; a file with errors may use what they hide.

        Only of mappings: a library may be a collection, or made by a program.
        """
        if not self.diagnostics.has_errors:
            warn_unused_imports(
                self.file, self.imports, self.done, self.unit.used_tables, self.diagnostics
            )

    def version(self, schemas: str) -> str:
        digest = sha256()
        for part in (self.file.digest, *self.imports.digests, schemas):
            digest.update(part.encode())
        return digest.hexdigest()[:16]


def _name(file: MapFile) -> str:
    given = file.root.get("mapping")
    return given.text if isinstance(given, Scalar) else "mapping"


def _is_own(one: Diagnostic, root: Node) -> bool:
    return one.position.file == root.position.file
