"""Mappings that extend others: ``extends:`` with what is replaced, removed and added.

An overlay is applied to the YAML of its base before anything is compiled.  What comes from the
base keeps its place there, so every diagnostic and error names the file that says it.  A path that
matches nothing is an error: a base that has changed is noticed at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from engine.mapping.overlay_paths import (
    NoSuchPlace,
    Step,
    changed,
    find,
    relabelled,
    steps_of,
)
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.library import Library

EXTENDS: Final = "extends"
_CHANGES: Final = ("replace", "remove", "add")
_BY_NAME: Final = ("from", "to", "params", "let")
_HIDING: Final = ("maps", "tables")
_KEYS: Final = ("mapping", "description", EXTENDS, "import", *_BY_NAME, *_HIDING, *_CHANGES)
_SECTIONS: Final = ("out", "import", *_BY_NAME, *_HIDING)
_DEEPEST: Final = 20


@dataclass(slots=True)
class Overlaid:
    """A file as if it were written in one piece."""

    root: Mapping
    bases: tuple[str, ...] = ()
    """What it extends, the nearest first."""
    hiding: set[tuple[str, str]] = field(default_factory=set)
    """Maps and tables that it has instead of imported ones: (``maps``, name)."""
    formats: dict[str, str | None] = field(default_factory=dict)
    """The source format of maps that it has taken over from an import."""


def overlaid(
    root: Node, name: str, library: Library, diagnostics: Diagnostics, inside: tuple[str, ...] = ()
) -> Overlaid | None:
    """The file with its base; None when the base cannot be had.  A file that extends nothing is
    returned as it is."""
    if not isinstance(root, Mapping) or EXTENDS not in root:
        return Overlaid(root) if isinstance(root, Mapping) else None
    wanted = root.get(EXTENDS)
    if not isinstance(wanted, Scalar):
        diagnostics.at("M001", wanted or root, "'extends' names one mapping")
        return None
    if wanted.text in (name, *inside) or len(inside) > _DEEPEST:
        diagnostics.at("M021", wanted, f"'{wanted.text}' extends itself in the end")
        return None
    source = library.source(wanted.text, diagnostics)
    if source is None:
        help = did_you_mean(wanted.text, library.names())
        diagnostics.at("M021", wanted, f"nothing to extend as '{wanted.text}'", help=help)
        return None
    base = overlaid(source, wanted.text, library, diagnostics, (name, *inside))
    if base is None:
        return None
    base.bases = (wanted.text, *base.bases)
    return _Overlay(root, base, library, diagnostics).apply()


def has_output(root: Node, library: Library) -> bool:
    """Whether a file is a mapping; one without ``out:``, in its base either, is a library."""
    node: Node | None = root
    for _ in range(_DEEPEST):
        if not isinstance(node, Mapping) or "out" in node:
            return True  # whatever is wrong with it is said when it is compiled
        base = node.get(EXTENDS)
        if not isinstance(base, Scalar):
            return False
        node = library.source(base.text, Diagnostics())
    return True


@dataclass
class _Overlay:
    root: Mapping
    base: Overlaid
    library: Library
    diagnostics: Diagnostics

    def apply(self) -> Overlaid:
        self.check_keys()
        tree = self.frame()
        for what in _CHANGES:
            given = self.root.get(what)
            if given is None:
                continue
            for path, node in self.changes(what, given):
                steps = self.steps(path, node if what != "remove" else None)
                if not steps:
                    continue
                try:
                    tree = self.taken_over(tree, steps, whole=what == "replace")
                    tree = self.change(what, tree, path, steps, node)
                except NoSuchPlace as missing:
                    self.refuse("M022", path, missing.step, missing.problem, missing.help)
        self.base.root = tree
        return self.base

    def check_keys(self) -> None:
        for key, _ in self.root.entries:
            if key.text == "out":
                help: str | None = "replace: {…}, remove: […] and add: {…} change what the base has"
            else:
                help = did_you_mean(key.text, _KEYS)
            if key.text not in _KEYS:
                problem = f"unknown key '{key.text}' in a mapping that extends another"
                self.diagnostics.at("M002", key, problem, help=help)

    def frame(self) -> Mapping:
        """The base's sections with the overlay's own; the place of the whole is the overlay's."""
        sections = {key.text: (key, value) for key, value in self.base.root.entries}
        sections.pop("mapping", None)
        for key, value in self.root.entries:
            name = key.text
            if name in _CHANGES or name not in _KEYS or name == EXTENDS:
                continue
            old = sections.get(name, (key, None))[1]
            if name == "import":
                value = _joined(old, value)
            elif isinstance(old, Mapping) and isinstance(value, Mapping):
                value = _by_name(old, value)
            if name in _HIDING and isinstance(value, Mapping):
                own = self.root.get(name)
                names = own.keys() if isinstance(own, Mapping) else ()
                self.base.hiding |= {(name, one) for one in names}
            sections[name] = (key, value)
        return Mapping(tuple(sections.values()), self.root.position)

    def changes(self, what: str, given: Node) -> Iterator[tuple[Scalar, Node]]:
        """Paths and what is to stand there; of ``remove`` the path itself."""
        if what == "remove":
            items = given.items if isinstance(given, Sequence) else (given,)
            for item in items:
                if isinstance(item, Scalar):
                    yield item, item
                else:
                    self.diagnostics.at("M023", item, "'remove' is a list of paths")
        elif isinstance(given, Mapping):
            yield from given.entries
        else:
            self.diagnostics.at(
                "M023", given, f"'{what}' is a mapping of paths to what stands there"
            )

    def steps(self, path: Scalar, node: Node | None) -> tuple[Step, ...]:
        steps = steps_of(path.text)
        if not steps:
            self.diagnostics.at(
                "M023", path, "a path that cannot be read", help="out.entry[label].resource.code"
            )
            return ()
        if steps[0].name not in _SECTIONS:
            steps = (Step("out", start=steps[0].start), *steps)
        return steps

    def taken_over(self, tree: Mapping, steps: tuple[Step, ...], *, whole: bool) -> Mapping:
        """An imported map or table that is changed (or replaced as a ``whole``) becomes the
        overlay's own.  Raises NoSuchPlace."""
        section = steps[0].name
        if section not in _HIDING or len(steps) < (2 if whole else 3):
            return tree
        name = steps[1].name
        here = tree.get(section)
        if isinstance(here, Mapping) and name in here:
            return tree
        known = set(here.keys()) if isinstance(here, Mapping) else set()
        found = self.imported(tree, section, name, known)
        if found is None:
            problem = f"no {section[:-1]} '{name}' in what this extends, imports included"
            raise NoSuchPlace(steps[1], problem, did_you_mean(name, known))
        key, node, format = found
        self.base.hiding.add((section, name))
        if section == "maps":
            self.base.formats[name] = format
        entries = here.entries if isinstance(here, Mapping) else ()
        own = Mapping((*entries, (key, node)), self.root.position)
        kept = tuple(entry for entry in tree.entries if entry[0].text != section)
        return Mapping((*kept, (Scalar(section, False, tree.position), own)), tree.position)

    def imported(
        self, tree: Mapping, section: str, name: str, known: set[str]
    ) -> tuple[Scalar, Node, str | None] | None:
        """The map or table with its key and its file's source format; adds to the names that are
        ``known`` when there is none."""
        waiting = list(_names(tree))
        seen: set[str] = set()
        while waiting:
            file = waiting.pop(0)
            if file in seen:
                continue
            seen.add(file)
            source = self.library.source(file, self.diagnostics)
            found = source and overlaid(source, file, self.library, self.diagnostics)
            if not found:
                continue
            part = found.root.get(section)
            if isinstance(part, Mapping) and (node := part.get(name)) is not None:
                key, start = part.key(name), found.root.get("from")
                assert key is not None  # noqa: S101 - it has a value
                format = start.get("format") if isinstance(start, Mapping) else None
                return key, node, format.text if isinstance(format, Scalar) else None
            known.update(part.keys() if isinstance(part, Mapping) else ())
            waiting += _names(found.root)
        return None

    def change(
        self, what: str, tree: Mapping, path: Scalar, steps: tuple[Step, ...], node: Node
    ) -> Mapping:
        """Raises NoSuchPlace."""
        if what == "replace":
            made = changed(tree, steps, lambda _: relabelled(node, steps[-1]))
        elif what == "remove":
            made = changed(tree, steps, lambda _: None)
        else:
            made = self.added(tree, path, steps, node)
        assert isinstance(made, Mapping)  # noqa: S101 - the sections stay
        return made

    def added(self, tree: Mapping, path: Scalar, steps: tuple[Step, ...], node: Node) -> Node:
        def put(old: Node) -> Node:
            if isinstance(old, Sequence):
                items = node.items if isinstance(node, Sequence) else (node,)
                return Sequence((*old.items, *items), old.position)
            if isinstance(old, Mapping) and isinstance(node, Mapping):
                for key, _ in node.entries:
                    if key.text in old:
                        help = "put it under replace"
                        self.diagnostics.at(
                            "M023", key, f"'{key.text}' is there already", help=help
                        )
                return Mapping((*old.entries, *node.entries), old.position)
            self.refuse("M023", path, steps[-1], f"'{steps[-1]}' is there already", "use replace")
            return old

        def put_key(old: Node) -> Node:
            last = steps[-1]
            if find(old, last) is not None or last.labelled or not isinstance(old, Mapping):
                return changed(old, (last,), put)
            key = Scalar(last.name, path.quoted, path.at(last.start))
            return Mapping((*old.entries, (key, node)), old.position)

        return changed(tree, steps[:-1], put_key) if len(steps) > 1 else put_key(tree)

    def refuse(
        self, code: str, path: Scalar, step: Step, problem: str, help: str | None = None
    ) -> None:
        self.diagnostics.add(code, path.at(step.start), problem, length=len(str(step)), help=help)


def _by_name(old: Mapping, new: Mapping) -> Mapping:
    """The entries of both; a new one takes the place of the old one with its name."""
    entries = {key.text: (key, value) for key, value in old.entries}
    entries |= {key.text: (key, value) for key, value in new.entries}
    return Mapping(tuple(entries.values()), new.position)


def _joined(old: Node | None, new: Node) -> Node:
    first = old.items if isinstance(old, Sequence) else () if old is None else (old,)
    second = new.items if isinstance(new, Sequence) else (new,)
    known = {item.text for item in first if isinstance(item, Scalar)}
    fresh = (one for one in second if not isinstance(one, Scalar) or one.text not in known)
    return Sequence((*first, *fresh), new.position)


def _names(root: Mapping) -> tuple[str, ...]:
    given = root.get("import")
    items = given.items if isinstance(given, Sequence) else () if given is None else (given,)
    return tuple(item.text for item in items if isinstance(item, Scalar))
