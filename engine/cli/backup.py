"""``carebus backup``: everything that is in the store, while the engine runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.exits import Exit
from engine.cli.output import Form, print_json, print_table, terminal
from engine.cli.project import PROJECT, Project
from engine.cli.words import word

if TYPE_CHECKING:
    from engine.settings import Settings
    from engine.store.backup.manifest import Manifest
    from engine.store.backup.verifying import Verified
    from engine.store.database import Database

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Where backups are kept; made when missing.")
]
Store = Annotated[Path, typer.Option("--data", help="The data directory of the engine.")]
STORE = Path("var")
As = Annotated[Form | None, typer.Option("--format", help="table or json; a pipe gets json.")]


def backup(
    folder: Folder,
    config: Project = PROJECT,
    data: Store = STORE,
    full: Annotated[bool, typer.Option("--full", help="Everything.")] = False,
    incremental: Annotated[
        bool, typer.Option("--incremental", help="What is new since the last backup.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Take none: read those that are there.")
    ] = False,
    keep: Annotated[
        int, typer.Option(min=0, help="Delete all but the N newest full ones; 0: keep all.")
    ] = 0,
    project: Annotated[
        bool, typer.Option(help="The YAML of --config goes along, never .env or keys.")
    ] = True,
    form: As = None,
) -> None:
    """Back up the store; the engine may be running.

    Full when the last full backup is seven days old, else incremental.  Every backup is a folder of
    its own below DIR.  Exit code 1 when --verify finds a damaged one.
    """
    if full + incremental + verify > 1:
        raise typer.BadParameter("give one of --full, --incremental and --verify")
    if verify:
        _verify(folder, form)
        return
    from datetime import UTC, datetime

    from engine.store.backup import manifest, snapshot, taking
    from engine.store.content import ContentFolder

    settings = settings_of(config, data)
    with taking.writing(folder), database_of(settings) as database:
        kind = manifest.Kind.FULL if full else manifest.Kind.INCREMENTAL
        if not full and not incremental:
            kind = taking.kind_for(folder, datetime.now(UTC))
        with told() as progress, snapshot(database) as taken:
            made = taking.take(
                taken,
                ContentFolder(data / "content"),
                folder,
                kind,
                project=config if project and (config / "routes.yaml").exists() else None,
                progress=progress,
            )
        forgotten = manifest.forget_old(folder, keep) if keep else ()
    if as_json(form):
        print_json({**_plain(made), "deleted": list(forgotten)})
        return
    typer.echo(f"{folder / made.name}")
    print_table(
        ("table", "in backup", "in store"),
        [
            (name, str(facts.rows), str(made.totals.get(name, "-")))
            for name, facts in made.files.items()
            if name != "ids"
        ],
    )
    for name in forgotten:
        typer.echo(f"deleted {name}")


def _verify(folder: Path, form: Form | None) -> None:
    from engine.store.backup.verifying import verify

    with told() as progress:
        found = verify(folder, lambda name: progress(name, 0))
    if as_json(form):
        print_json({"backups": [_verified(one) for one in found]})
    else:
        print_table(
            ("backup", "messages", "bytes", "state"),
            [
                (
                    one.name,
                    "-" if one.manifest is None else str(one.manifest.files["message"].rows),
                    "-" if one.manifest is None else str(one.manifest.size),
                    word("whole") if one.error is None else f"{one.error.code} {one.error.summary}",
                )
                for one in found
            ],
        )
    if any(one.error is not None for one in found):
        raise typer.Exit(Exit.FAILED)


def _verified(one: Verified) -> dict[str, Any]:
    plain = {"backup": one.name} if one.manifest is None else _plain(one.manifest)
    error = one.error and {
        "code": one.error.code,
        "summary": one.error.summary,
        "location": one.error.location,
    }
    return {**plain, "whole": one.error is None, "error": error}


def _plain(made: Manifest) -> dict[str, Any]:
    return {
        "backup": made.name,
        "kind": made.kind,
        "made_at": made.made_at,
        "ended_at": made.ended_at,
        "base": made.base,
        "bytes": made.size,
        "rows": {name: facts.rows for name, facts in made.files.items() if name != "ids"},
        "totals": dict(made.totals),
    }


def settings_of(config: Path, data: Path) -> Settings:
    """As ``carebus run`` reads them.  Raises ConfigError."""
    import os

    from engine.settings import read_environment, read_settings

    return read_settings(config, data, read_environment(config, os.environ))


@contextmanager
def database_of(settings: Settings) -> Iterator[Database]:
    """The database of an engine that ran already.  Raises StoreUnavailable, also instead of what
    its driver raises."""
    from engine.store import failures, open_database, sqlite

    database = open_database(settings.store_url, data=settings.data)
    if isinstance(database, sqlite.SqliteDatabase) and not database.path.is_file():
        raise failures.unavailable(
            "STORE-IO",
            f"there is no {database.path.name} in the data folder",
            "name the engine's folder with --data",
        )
    with translating(database):
        yield database


@contextmanager
def translating(database: Database) -> Iterator[None]:
    """The driver's errors become documented ones."""
    try:
        yield
    except database.errors as error:
        raise database.translate(error) from None


def as_json(form: Form | None) -> bool:
    return form is Form.JSON or (form is None and not terminal())


@contextmanager
def told() -> Iterator[Callable[[str, int], None]]:
    """Where it is, in one line of a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda what, done: None
        return

    def show(what: str, done: int) -> None:
        sys.stderr.write(f"\r\x1b[K{what} {done or ''}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
