"""``carebus restore``: a backup into an empty store, and the proof that nothing is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.backup import STORE, As, Store, as_json, settings_of, told, translating
from engine.cli.exits import Exit
from engine.cli.output import print_json, print_table
from engine.cli.project import PROJECT, Project
from engine.cli.words import word

if TYPE_CHECKING:
    from engine.store.backup.manifest import Manifest
    from engine.store.backup.restoring import Found


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where backups are (the newest), or one of them.")
    ],
    config: Project = PROJECT,
    data: Store = STORE,
    form: As = None,
) -> None:
    """Put a backup into the empty store of --data and CAREBUS_STORE_URL, whichever database the
    backup is of.

    What was unfinished is sent again, as possible duplicates, or waits for a person, as the
    channels say.  Ends with a check of every id and file; exit code 1, and an empty store, when
    anything is missing.
    """
    from engine.store import open_database
    from engine.store.backup import loading, manifest, restoring
    from engine.store.content import ContentFolder
    from engine.store.failures import unusable
    from engine.store.lock import FolderLock

    settings = settings_of(config, data)
    chain = manifest.chain_of(manifest.chosen(folder))
    database = open_database(settings.store_url, data=data)
    lock = FolderLock(data)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.take()
    except OSError as error:
        raise unusable(error) from None
    try:
        with told() as progress, translating(database), loading(database) as target:
            found = restoring.restore(chain, target, ContentFolder(data / "content"), progress)
    finally:
        lock.release()
    _show(chain, found, as_json(form))
    if not all(line.whole for line in found):
        raise typer.Exit(Exit.FAILED)


def _show(chain: list[Manifest], found: list[Found], plain: bool) -> None:
    whole = all(line.whole for line in found)
    if plain:
        lines = [
            {"what": one.what, "expected": one.expected, "found": one.found, "extra": one.extra}
            for one in found
        ]
        restored = [one.name for one in chain]
        print_json({"restored": restored if whole else [], "whole": whole, "check": lines})
        return
    print_table(
        ("table", "in backup", "restored", "missing"),
        [
            (one.what, str(one.expected), str(one.found), str(one.expected - one.found))
            for one in found
        ],
    )
    if whole:
        typer.echo(f"{word('nothing is missing')}: {', '.join(one.name for one in chain)}")
    else:
        typer.echo("the backup is not whole; the store is as it was", err=True)
