"""What all tests share: servers that are installed for them, started when one first asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.postgresql import PostgresServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """One server for the whole run: ``create_database()`` gives a URL for CAREBUS_STORE_URL."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(postgresql: PostgresServer) -> str:
    """The URL of a new, empty database."""
    return postgresql.create_database()
