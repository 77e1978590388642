"""What the store asks of a database; `sqlite` and `postgresql` each answer for one, and no other
module knows a database's own SQL, its driver or its errors.

Texts of statements are standard SQL with ``?`` or ``:name`` for values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from engine.contract import StoreRoom, StoreUnavailable

if TYPE_CHECKING:
    from engine.store.statements import Change, Insert, Read

Values = Sequence[Any] | Mapping[str, Any]
Row = tuple[Any, ...]
NodeRow = tuple[int, str, int, int, str]
"""Id, name, start and last beat (microseconds) of a living process, and what it shows."""


class CommitUnknown(Exception):
    """The connection was lost during a commit: it was made, or it was not.  ``mark`` is what
    `Connection.committed` tells it by, on another connection."""

    def __init__(self, mark: int) -> None:
        super().__init__(mark)
        self.mark = mark


class Cursor(Protocol):
    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """One thread at a time.  The first change begins a transaction, `commit` ends it."""

    def execute(self, text: str, values: Values = (), /) -> Cursor: ...
    def read(self, read: Read, values: Mapping[str, Any], /) -> Sequence[Sequence[Any]]: ...
    def insert(self, insert: Insert, rows: Sequence[Row], /) -> None: ...
    def change(self, change: Change, rows: Sequence[Row], /) -> int:
        """Returns how many rows changed."""

    def claim_keys(self, keys: Sequence[Row], /) -> Mapping[bytes, tuple[str, int]]:
        """Of these dedup rows (digest, message, at, expires_at) those that are known already:
        digest → (message, at).  Nobody else can make one of these known until the commit."""

    def reserve(self, seqs: int, deliveries: int, events: int, /) -> tuple[int, int, int] | None:
        """The last ids given before as many new ones, which are this caller's now.  None where
        there is only one writer, which counts by itself."""

    def tell(self, notice: str, /) -> None:
        """Once this transaction is committed, every engine that listens hears this; nothing where
        there is only one."""

    def take_over(self, owners: Sequence[int], to: int, *, flag: bool, limit: int) -> int:
        """Some unfinished deliveries of these owners become those of node ``to``, those
        that another has locked apart; ``flag`` marks them as possible duplicates.
        Returns how many; 0: there are no more."""

    def commit(self) -> None:
        """Raises CommitUnknown."""

    def committed(self, mark: int, /) -> bool:
        """Whether the commit with this mark was made; waits for one that is being made now."""

    def rollback(self) -> None: ...
    def close(self) -> None: ...


class Nodes(Protocol):
    """The engine processes that have a shared database open, and their leases.  Times are the
    database's clock."""

    node: int

    def begin(self, name: str) -> int: ...
    def end(self, clean: bool) -> None: ...
    def beat(self) -> bool: ...
    def bury(self) -> tuple[int, ...]: ...
    def buried(self, connection: Connection, nodes: Sequence[int]) -> None: ...
    def stopped(self) -> tuple[int, ...]: ...
    def outlive(self) -> tuple[int, ...]: ...
    def living(self) -> Mapping[int, str]: ...
    def show(self, status: str) -> None: ...
    def shown(self) -> Sequence[NodeRow]: ...
    async def listen(self, told: Callable[[str | None], None]) -> None: ...
    def acquire(self, name: str, owner: str, seconds: float) -> int | None: ...
    def renew(self, name: str, owner: str, epoch: int, seconds: float) -> bool: ...
    def release(self, name: str, owner: str, epoch: int) -> None: ...


class Database(Protocol):
    """One database.  Blocking; its methods may be called from any thread."""

    errors: tuple[type[Exception], ...]
    """What its driver raises."""
    files: bool
    """Whether large content is kept in files beside it."""

    @property
    def nodes(self) -> Nodes | None:
        """None: only one engine has it open."""

    def prepare(self) -> None:
        """Bring it to the schema this code was written for.  Raises StoreUnavailable."""

    def connect_writer(self) -> Connection: ...
    def connect_reader(self) -> Connection:
        """Sees committed data only and cannot write."""

    def tidy(self, connection: Connection) -> bool:
        """Called between the writer's transactions.  False when it should be tried later."""

    def give_back(self, connection: Connection) -> None:
        """Give some of the room of deleted rows back to the disk."""

    def roll(self, content_before: int, events_before: int) -> int:
        """Where days are partitions: make those of the next days, and drop those that ended before
        these times (microseconds) and hold nothing of an unfinished delivery.  Returns how many
        were dropped; 0 also where there are none."""

    def room(self) -> StoreRoom:
        """Raises StoreUnavailable."""

    def is_refusal(self, error: Exception) -> bool:
        """One row or value was refused; anything else concerns the whole database."""

    def is_lost(self, error: Exception) -> bool:
        """Whether the connection should be opened again before it is used."""

    def translate(self, error: Exception) -> StoreUnavailable:
        """The documented error for any of the driver's; its text may hold values, so it is left
        out."""
