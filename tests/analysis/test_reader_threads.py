import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cqox.analysis.reader_threads import start_reader_threads

# In a process of its own: in this one an earlier test has read a table.
READING = """
import os, sys
from pathlib import Path
import polars as pl
from cqox.analysis.reader_threads import start_reader_threads
from cqox.datasets import read_table, write_parquet

def threads():
    return sorted(Path(f"/proc/self/task/{each}/comm").read_text().strip() for each in os.listdir("/proc/self/task"))

if sys.argv[1] == "before":
    start_reader_threads()
first = set(threads())
folder = Path(sys.argv[2])
source = folder / "table.csv"
source.write_text("y,w,x\\n" + "1.5,0,2\\n2.5,1,3\\n" * 200_000)
write_parquet(read_table(source, name="table.csv"), folder / "table.parquet")
pl.read_csv(source, n_rows=1)
pl.read_parquet(folder / "table.parquet")
print(sorted(set(threads()) - first))
"""


def threads_started_by_reading(tmp_path: Path, *, when: str) -> str:
    command = [sys.executable, "-c", READING, when, str(tmp_path)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def test_no_kind_of_thread_starts_in_the_middle_of_a_table(tmp_path: Path) -> None:
    assert threads_started_by_reading(tmp_path, when="before") == "[]"


def test_reading_would_start_threads_otherwise(tmp_path: Path) -> None:
    assert "polars-unmap-0" in threads_started_by_reading(tmp_path, when="never")


def test_a_system_that_refuses_files_in_memory_starts_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise PermissionError(errno.EACCES, name)

    monkeypatch.setattr(os, "memfd_create", refuse)
    start_reader_threads()
    monkeypatch.delattr(os, "memfd_create")
    start_reader_threads()
