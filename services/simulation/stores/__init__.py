"""A database and a cache in memory which behave as PostgreSQL and Redis do, faults included."""
