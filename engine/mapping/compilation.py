"""One mapping file with everything it imports, on the way to what it runs.

``parts of the file → imports → expression trees → checks → closures``.  Of a file that is only
checked the closures are thrown away.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

from engine.formats.fhir.definitions import definitions
from engine.formats.hl7v2.dictionary import components
from engine.mapping.ast import SEGMENTED
from engine.mapping.bundles import completion
from engine.mapping.checked import Checked, CheckedMap, Surroundings
from engine.mapping.compiled import CompiledMapping
from engine.mapping.fhir_checks import FhirChecker
from engine.mapping.hl7_outputs import check_hl7_output
from engine.mapping.imports import read_imports, warn_unused_imports
from engine.mapping.library import Library
from engine.mapping.made import Made, Making
from engine.mapping.mapfile import (
    MapDefinition,
    MapFile,
    canonical,
    fhir_version,
    target_resource,
    target_types,
    target_version,
)
from engine.mapping.message_headers import header_completion
from engine.mapping.namespaces import known_namespaces
from engine.mapping.outputs import OutputCompiler
from engine.mapping.program import finish, root_scope
from engine.mapping.reads import what_is_read
from engine.mapping.runstate import Code, Run
from engine.mapping.schemas import read_schemas
from engine.mapping.scope import Binding, MapCode, Scope, Unit
from engine.syntax import Diagnostics, Scalar
from engine.syntax.nearest import did_you_mean

_PATH = re.compile(r"(?:\$\w+|[A-Z][A-Z0-9]{2}-\d+(?:\[1\])?)(?:\.\d+)*")


@dataclass
class Compilation:
    file: MapFile
    library: Library
    diagnostics: Diagnostics
    trace: bool = False
    done: dict[str, MapCode] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    uses: list[dict[str, None]] = field(default_factory=list)
    """Of the maps that are being checked, the maps they call, in their order."""
    only_own: bool = False
    """Imported maps are not compiled; nothing of this compilation will run."""
    checked: Checked | None = None
    """Maps that need not be checked again; nothing of this compilation will run then, either."""
    is_checked: bool = False
    """Everything was checked before: this compilation is for what runs."""

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

    def compile(self) -> CompiledMapping:
        """After diagnostics it is of no use; with ``checked`` it is made when it is wanted."""
        file, library = self.file, self.library
        made = self.make()
        making = Making(None, made)
        if self.checked is not None:
            again = partial(Compilation, file, library, is_checked=True)
            making = Making(lambda: again(Diagnostics()).make())
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
            location="" if file.out is None else str(file.out.position),
            file=file.root.position.file,
            making=making,
            traced=lambda: Compilation(file, library, Diagnostics(), trace=True).compile(),
        )

    def make(self) -> Made:
        """The closures, and everything that can be said of the file."""
        file, unit = self.file, self.unit
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
        if not self.trace and not self.is_checked:
            self.check_output()
            self.outputs.warn_unused(inner)
            self.warn_unused(used, scope)
            self.warn_unused_imports()
        return Made(
            rules=tuple(self.outputs.rules),
            program=finish(unit, scope, file.parameters, str(file.root.position)),
            lets=tuple((cell, self.outputs.whole(code)) for cell, code in lets),
            out=self.outputs.whole(out.code),
            completing=header_completion(file.root.get("to"))
            if file.target == "hl7v2" and not self.trace
            else completion(unit, file.out.position),
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
        if file.target == "hl7v2" and file.out is not None:
            check_hl7_output(file.out, file.root.get("to"), self.diagnostics)
        version = fhir_version(file.root)
        if file.target != "fhir" or version is None:
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
        if self.uses:
            self.uses[-1][name] = None
        found = self.done.get(name)
        if found is not None:
            return self.repeated(name, found) if name in self.open else found
        definition = self.maps.get(name)
        if definition is None:
            return None
        cells = tuple(self.unit.layout.cell() for _ in definition.arguments)
        names = tuple(argument.text for argument in definition.arguments)
        made = self.done[name] = MapCode(name, names, cells)
        if self.only_own and name not in self.file.maps:
            made.body = lambda run: None
            return made
        self.open.append(name)
        if self.checked is None:
            self.fill(made, definition)
        else:
            self.check(made, definition, self.checked)
        self.open.pop()
        return made

    def repeated(self, name: str, found: MapCode) -> MapCode:
        chain = " → ".join([*self.open[self.open.index(name) :], name])
        self.diagnostics.at(
            "M307",
            self.maps[name].key,
            f"map '{name}' uses itself: {chain}",
            help="a mapping always ends: maps cannot recurse",
        )
        return MapCode(name, found.arguments, found.cells, lambda run: None)

    def check(self, made: MapCode, definition: MapDefinition, checked: Checked) -> None:
        """Only what was not said of it before, and which names it uses."""
        unit = self.unit
        around = Surroundings(
            definition.format or unit.format,
            frozenset(
                (unit.namespaces if definition.format is None else definition.namespaces).items()
            ),
            unit.layout_of_source,
            unit.target,
            frozenset(self.outputs.namespaces.items()),
            self.outputs.version,
            frozenset(self.outputs.types),
        )
        known = checked.find(definition, around)
        if known is not None and known.still_means(self.maps, unit.tables):
            for name in known.calls:
                self.map_named(name)
            unit.used_tables |= known.tables.keys()
            return
        said, tables, of_messages = len(self.diagnostics), unit.used_tables, unit.of_messages
        unit.used_tables, unit.of_messages = set(), False
        self.uses.append({})
        self.fill(made, definition)
        calls = self.uses.pop()
        if len(self.diagnostics) == said and not unit.of_messages:
            checked.add(
                CheckedMap(
                    definition,
                    {name: self.maps[name] for name in calls},
                    {name: unit.tables[name] for name in unit.used_tables},
                ),
                around,
            )
        unit.used_tables |= tables
        unit.of_messages |= of_messages

    def fill(self, made: MapCode, definition: MapDefinition) -> None:
        """Compiles a map's body; it sees its arguments and nothing else."""
        unit = self.unit
        scope = Scope()
        scope.sealed = True
        for argument, cell in zip(definition.arguments, made.cells, strict=True):
            scope.names[argument.text] = Binding(cell, argument.position)
            if self.trace:
                origin = scope.names[argument.text].origin = unit.layout.cell()
                unit.origins[cell] = origin
        format, unit.format = unit.format, definition.format or unit.format
        namespaces = unit.namespaces
        if definition.format is not None:
            unit.namespaces = definition.namespaces
        inner = Scope(scope)
        lets = [] if definition.let is None else self.outputs.lets(definition.let, inner)
        body = self.outputs.compile(
            definition.out, inner, made.name, inside=self.outputs.target in SEGMENTED
        ).code
        made.keys = tuple(self.outputs.expression(key, inner).code for key in definition.identity)
        made.body = self.outputs.whole(_with_lets(tuple(lets), body) if lets else body, made.cells)
        given = [scope.names[name] for name in made.arguments]
        made.reads = tuple(None if one.whole else frozenset(one.reads) for one in given)
        unit.format, unit.namespaces = format, namespaces
        self.outputs.warn_unused(scope)
        self.outputs.warn_unused(inner)

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


def _with_lets(assigned: tuple[tuple[int, Code], ...], inner: Code) -> Code:
    """A map's ``let:`` before its output."""

    def with_lets(run: Run) -> Any:
        for cell, value in assigned:
            found = value(run)
            run[cell] = found
        return inner(run)

    return with_lets
