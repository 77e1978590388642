"""From a mapping file to a `CompiledMapping`, from a scalar to an `Expression`.

``nodes → parts of the file → imports → expression trees → checks → closures``; compiled once,
nothing of the YAML is touched again when a message comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from engine.formats.delimited import Layout
from engine.mapping.ast import Segment
from engine.mapping.checked import Checked
from engine.mapping.closures import Compiled
from engine.mapping.compilation import Compilation
from engine.mapping.compiled import CompiledMapping, Expression
from engine.mapping.expressions import ExpressionCompiler
from engine.mapping.functions import BUILT_IN
from engine.mapping.functions.signature import Function
from engine.mapping.grammar import parse_expression
from engine.mapping.library import EmptyLibrary, Library
from engine.mapping.mapfile import read_file
from engine.mapping.namespaces import path_namespaces
from engine.mapping.program import finish, root_scope
from engine.mapping.scope import Unit
from engine.mapping.tracing import Rule
from engine.syntax import Diagnostic, Diagnostics, Node, Scalar, Severity


def compile_mapping(
    root: Node,
    *,
    diagnostics: Diagnostics,
    library: Library | None = None,
    name: str = "",
    notes: bool = False,
    checked: Checked | None = None,
) -> CompiledMapping | None:
    """The mapping of a file, or None when a diagnostic is an error.

    ``name`` is the file's (``adt-to-fhir``), which `mapping:` must repeat.  With ``notes``, what
    is only worth a look is said as well.  With ``checked``, which goes through all files of one
    library, what is known of imported maps is not found out again, and what runs is made when the
    first message comes (`CompiledMapping.prepare`).
    """
    own = Diagnostics()
    library = library or EmptyLibrary()
    file = read_file(root, name, library, own)
    mapping: CompiledMapping | None = None
    if file is not None and file.source is not None and file.target is not None:
        compilation = Compilation(file, library, own, checked=checked)
        compilation.unit.notes = notes
        mapping = compilation.compile()
    for one in own.items:
        # What a base only warns of is said of the base, and an overlay may well cause it.
        if file is None or not file.bases or one.severity is Severity.ERROR or _is_own(one, root):
            diagnostics.repeat(one)
    return None if own.has_errors else mapping


def check_library(
    root: Node,
    *,
    diagnostics: Diagnostics,
    library: Library | None = None,
    name: str = "",
    checked: Checked | None = None,
) -> tuple[Rule, ...]:
    """Diagnostics for a file that is only imported: each of its maps is compiled.  Gives their
    rules in the order of the file, where nothing is ``checked``.

    With ``checked``, as for `compile_mapping`, ``root`` is what the library has under the name.
    """
    library = library or EmptyLibrary()
    if checked is None:
        file = read_file(root, name, library, diagnostics, only_imported=True)
    else:
        file = library.load(name, diagnostics)
    if file is None:
        return ()
    file = replace(file, source=file.source or "hl7v2", target=file.target or "fhir")
    # What it imports is checked as files of its own; an overlay may change what those call.
    compilation = Compilation(file, library, diagnostics, only_own=not file.bases, checked=checked)
    for map_name in file.maps:
        compilation.map_named(map_name)
    compilation.check_output()
    return tuple(compilation.outputs.rules)


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


def _is_own(one: Diagnostic, root: Node) -> bool:
    return one.position.file == root.position.file
