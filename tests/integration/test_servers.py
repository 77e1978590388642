"""The servers of the tests' own start, survive what tests do to them, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.servers.postgresql import PostgresServer


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    server = PostgresServer()
    try:
        server.start()
        url = server.create_database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (id int)")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        server.remove()
    assert not server.folder.exists()


def test_each_test_has_a_database_of_its_own(postgresql: PostgresServer, database: str) -> None:
    assert postgresql.create_database() != database
    with psycopg.connect(database) as connection:
        folder = connection.execute("SHOW data_directory").fetchone()
    assert folder == (str(postgresql.data),)
    assert Path("/var/lib/postgresql") not in postgresql.data.parents
