"""Everything that is true of PostgreSQL only: `PostgresDatabase`.

Several engines write at once.  So each life of an engine process is a row with a lease (`nodes`), a
transaction ends with a check that the others have not given this life up, ids are given by a row of
the database, and a dedup key is locked before it is looked for (`connection`).  Contents and events
are in one partition for each day (`partitions`).
"""

from engine.store.postgresql.server import PostgresDatabase

__all__ = ["PostgresDatabase"]
