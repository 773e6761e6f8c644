"""Importing an adapter imports nothing of the library that it adapts."""

import subprocess
import sys

import pytest

ADAPTED = {"starlette", "fastapi", "quart", "litestar", "sqlalchemy", "asyncpg", "psycopg", "psycopg_pool", "redis"}


@pytest.mark.parametrize("adapter", ["starlette", "quart", "litestar", "sqlalchemy", "asyncpg", "psycopg", "redis"])
def test_an_adapter_imports_its_library_only_when_it_is_used(adapter: str) -> None:
    program = f"import sys, cqox.resilience.adapters.{adapter}; print(*{{n.partition('.')[0] for n in sys.modules}})"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(finished.stdout.split()) & ADAPTED
