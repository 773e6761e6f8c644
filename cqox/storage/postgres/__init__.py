"""The result store on a PostgreSQL server."""

from cqox.storage.postgres.address import check_address
from cqox.storage.postgres.store import PostgresStore

__all__ = ["PostgresStore", "check_address"]
