"""A PostgreSQL server of the tests' own: Debian's programs, a new cluster in a temporary
folder, its own port and socket.  Nothing of the machine's cluster is touched.

As root the server runs as the user ``postgres`` that the package brings, since it refuses root.
"""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psycopg

PROGRAMS: Final = Path("/usr/lib/postgresql")
START_SECONDS: Final = 30.0
USER: Final = "carebus"


def programs() -> Path:
    """The folder of the newest installed server's programs."""
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: run .ci/setup test")
    return found[-1].parent


class PostgresServer:
    """One cluster.  ``durable`` keeps fsync on; without it a commit survives the death of the
    server's processes, and not that of the machine: enough for what tests can do to it."""

    def __init__(self, *, durable: bool = False, settings: Sequence[str] = ()) -> None:
        # a socket needs a short path
        self.folder = Path(tempfile.mkdtemp(prefix="carebus-pg-", dir="/tmp"))
        self.port = _free_port()
        self.password = secrets.token_urlsafe(12)
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self._settings = (
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
            "max_connections=200",
            "shared_buffers=64MB",
            "max_wal_size=512MB",
            "log_min_messages=fatal",
            f"fsync={'on' if durable else 'off'}",
            *settings,
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """Of the running server's first process, whose children the others are."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers.  The first time it makes the cluster."""
        if not self.data.exists():
            self._make()
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    programs() / "postgres",
                    "-D",
                    self.data,
                    *(part for one in self._settings for part in ("-c", one)),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                **self._account,
            )
        atexit.register(self.stop)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Fast shutdown: connections are ended, what was committed is kept.  Idempotent."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Every process of the server at once, as kill -9 does."""
        if self._process is not None:
            for number in [self._process.pid, *_children(self._process.pid)]:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        atexit.unregister(self.stop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, **parameters: str) -> str:
        """The form that CAREBUS_STORE_URL has."""
        given = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        return (
            f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"
            f"{'?' if given else ''}{given}"
        )

    def create_database(self) -> str:
        """A new empty database; its URL."""
        name = f"test_{next(self._names)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """As superuser, in autocommit."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def _make(self) -> None:
        self.folder.chmod(0o755)
        password = self.folder / "password"
        password.write_text(self.password)
        if "user" in self._account:
            for path in (self.folder, password):
                os.chown(path, self._account["user"], self._account["group"])
        made = subprocess.run(
            [
                programs() / "initdb",
                "--pgdata",
                self.data,
                "--username",
                USER,
                "--pwfile",
                password,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            capture_output=True,
            cwd=self.folder,
            check=False,
            **self._account,
        )
        password.unlink()
        if made.returncode:
            raise RuntimeError(made.stderr.decode())

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
        self._process.wait(START_SECONDS)
        self._process = None
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def _account() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _children(parent: int) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            yield int(path.parent.name)
