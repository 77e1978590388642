"""What an expression can see while it is compiled: variables, segments, the unit's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.formats.delimited import Layout as TableLayout
from engine.mapping.functions.signature import Function
from engine.mapping.runstate import NOTHING, Code, Layout
from engine.syntax import Diagnostics, Position

if TYPE_CHECKING:
    from engine.formats.hl7v2.rest import Reads
    from engine.mapping.tables import Table

BUILT_IN = ("now", "message", "channel")


@dataclass(slots=True)
class Binding:
    """A name and the cell that holds its value."""

    cell: int
    position: Position | None = None  # None: cannot be reported as unused
    used: bool = False
    origin: int | None = None  # explaining only: the cell with the source path of the value
    holds_group: bool = False
    holds_segment: bool = False
    """A loop over segments; ``fields`` is the cell for the fields of the one whose turn it is."""
    fields: int | None = None
    segment: str = ""
    """The name of the segments that a loop walks, when it is known."""
    since: Scope | None = None  # with whose turns a `$let` changes, when that is known
    reads: set[int] = field(default_factory=set)
    """The fields that paths name, if it holds a segment."""
    whole: bool = False
    """Something else than such a path uses it."""

    def passed_on(self, reads: frozenset[int] | None, before: bool) -> None:
        """It was given to a map, which reads these fields, or all of it (None); ``before`` is what
        `whole` was before that."""
        if reads is not None:
            self.whole = before
            self.reads |= reads


class Scope:
    """Names of one level.  A scope with ``segments`` is the message or a group of it."""

    def __init__(self, parent: Scope | None = None, *, group: int | None = None) -> None:
        self.parent = parent
        self.names: dict[str, Binding] = {}
        self.item: int | None = None if parent is None else parent.item
        self.group = group
        """The cell of the group whose segments come first; None: those of the message."""
        self.segments: dict[str, int] = {}
        self.loops = False
        """A loop: its variable, and the group's segments, change with each turn."""
        self.memos: dict[str, tuple[int, Code]] = {}
        """Paths that are read more than once, by their text: a cell and what fills it."""
        self.sealed = False
        """A map: it sees its arguments and nothing of the message."""

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def visible(self) -> Iterable[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent

    def home(self) -> Scope:
        """The nearest scope that has segments of its own: a group's, or the outermost."""
        scope = self
        while scope.group is None and scope.parent is not None:
            scope = scope.parent
        return scope

    def owner(self, name: str) -> Scope | None:
        """The scope that defines a name."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope

    def segment_cell(self, name: str, layout: Layout) -> int:
        """The cell of the fields of the first such segment, filled before the scope's code runs."""
        home = self.home()
        cell = home.segments.get(name)
        if cell is None:
            cell = home.segments[name] = layout.cell(NOTHING)
        return cell

    @property
    def within_map(self) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope.sealed:
                return True
            scope = scope.parent
        return False


@dataclass(slots=True)
class Unit:
    """One compilation: everything that its expressions share."""

    format: str
    diagnostics: Diagnostics
    functions: Mapping[str, Function]
    layout: Layout = field(default_factory=Layout)
    layout_of_source: TableLayout = field(default_factory=TableLayout)
    """How a delimited source is read; expressions outside mappings take commas and a header."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Of the paths of an XML source, by prefix."""
    tables: Mapping[str, Table] = field(default_factory=dict)
    used_tables: set[str] = field(default_factory=set)
    map_named: Callable[[str], MapCode | None] = lambda name: None
    map_names: Callable[[], Iterable[str]] = tuple
    trace: bool = False
    target: str = ""
    """The format of the output; empty for an expression by itself."""
    readings: Mapping[str, int] = field(default_factory=dict)
    """How often each plain path stands in the file."""
    origins: dict[int, int] = field(default_factory=dict)
    resources_cell: int | None = None
    source_cell: int | None = None
    groups_cell: int | None = None
    """Where the groups of the message are, once a path has asked for them."""
    order_cell: int | None = None
    """Where the segments of the message are in their order, once a form has asked for it."""
    version: str = ""
    """The HL7 version that the mapping says it reads; empty: any."""
    notes: bool = False
    """Whether to say what is only worth a look."""
    places: set[str] = field(default_factory=set)
    """Where paths have been checked."""
    messages: tuple[str, ...] = ()
    """The message structures that the mapping says it reads."""
    of_messages: bool = False
    """Whether something was checked against them, or against the version, or gave a note."""
    memories: dict[str, int] = field(default_factory=dict)

    def memory(self, name: str) -> int:
        """The cell of what maps of one name gave in a run; None at first."""
        if name not in self.memories:
            self.memories[name] = self.layout.cell()
        return self.memories[name]

    written: set[str] = field(default_factory=set)
    """The segments that an HL7 v2 output may have."""
    what_is_read: Callable[[], Reads] = dict

    def checked(self, place: str) -> bool:
        """Whether this place has been checked before; from now on it has."""
        before = place in self.places
        self.places.add(place)
        return before


@dataclass(slots=True)
class MapCode:
    """A map while it is compiled: its body may not be there yet."""

    name: str
    arguments: tuple[str, ...]
    cells: tuple[int, ...]
    body: Code | None = None
    reads: tuple[frozenset[int] | None, ...] = ()
    """Of each argument that is a segment, the fields that count; None: all of it."""
    keys: tuple[Code, ...] = ()
    """What tells a resource of this map from others, once the body has run; each may be missing."""

    def reads_of(self, argument: int) -> frozenset[int] | None:
        return self.reads[argument] if argument < len(self.reads) else None

    def code(self) -> Code:
        """Calls the body, whatever it will be."""
        if self.body is not None:
            return self.body

        def late(run: list[Any]) -> Any:
            assert self.body is not None  # noqa: S101 - set before anything runs
            return self.body(run)

        return late
