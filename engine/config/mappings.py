"""The mappings of a project, compiled once, whether a route uses them or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.config.files import File
from engine.mapping import (
    Checked,
    CompiledMapping,
    Function,
    MapFile,
    check_library,
    compile_expression,
    compile_mapping,
    has_output,
    read_file,
)
from engine.mapping.catalogue import Catalogue
from engine.mapping.headers import header_of
from engine.mapping.tablefiles import Attachments, with_table_files
from engine.syntax import Diagnostics, Node
from engine.syntax import Mapping as MappingNode


def compile_mappings(
    files: Iterable[File],
    functions: Mapping[str, Function],
    diagnostics: Diagnostics,
    attachments: Attachments,
    *,
    notes: bool = False,
) -> tuple[dict[str, CompiledMapping], frozenset[str]]:
    """The mappings that are right, by name, and the names of those that are not.

    A file without ``out:``, of its own or of what it extends, is only imported: its maps and
    tables are checked, and it is in neither.  What a mapping runs is made when it is wanted.
    """
    library = _ProjectLibrary({file.name: file for file in files}, functions, attachments)
    check_catalogue(library.files.values(), diagnostics, functions)
    compiled: dict[str, CompiledMapping] = {}
    wrong: set[str] = set()
    checked = Checked()
    for file in library.files.values():
        if not has_output(file.node, library):
            check_library(
                file.node,
                diagnostics=diagnostics,
                library=library,
                name=file.name,
                checked=checked,
            )
            continue
        mapping = compile_mapping(
            file.node,
            diagnostics=diagnostics,
            library=library,
            name=file.name,
            notes=notes,
            checked=checked,
        )
        if mapping is None:
            wrong.add(file.name)
        else:
            compiled[file.name] = mapping
    return compiled, frozenset(wrong)


def check_catalogue(
    files: Iterable[File], diagnostics: Diagnostics, functions: Mapping[str, Function]
) -> None:
    """What the mappings say they take: each ``when:``, and two that take the same."""
    headers = [
        header_of(file.node, file.name)
        for file in files
        if isinstance(file.node, MappingNode) and ("out" in file.node or "extends" in file.node)
    ]
    Catalogue(headers).ambiguities(diagnostics)
    for header in headers:
        if header.when is not None and header.source:
            compile_expression(
                header.when, format=header.source, diagnostics=diagnostics, functions=functions
            )


class _ProjectLibrary:
    """`engine.mapping.Library` over files that are read already."""

    def __init__(
        self,
        files: Mapping[str, File],
        functions: Mapping[str, Function],
        attachments: Attachments,
    ) -> None:
        self.files = files
        self.functions = functions
        self.attachment = attachments
        self._read: dict[str, tuple[MapFile | None, Diagnostics]] = {}

    def load(self, name: str, diagnostics: Diagnostics) -> MapFile | None:
        file = self.files.get(name)
        if file is None:
            return None
        if name not in self._read:
            problems = Diagnostics()
            found = read_file(file.node, name, self, problems, only_imported=True)
            self._read[name] = (found, problems)
        found, problems = self._read[name]
        diagnostics.extend(problems)
        return found

    def source(self, name: str, diagnostics: Diagnostics) -> Node | None:
        file = self.files.get(name)
        if file is None:
            return None
        return with_table_files(file.node, self.attachment, diagnostics)

    def names(self) -> tuple[str, ...]:
        return tuple(self.files)
