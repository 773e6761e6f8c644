"""Arrays of a whole sample, in memory or in files."""

import gc
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cqox.estimators.numerics import array_store
from cqox.estimators.numerics.array_store import drop_pages, empty, in_files, spill

NO_SPACE = """
import resource, sys
from pathlib import Path
from cqox.errors import UnusableData
from cqox.estimators.numerics.array_store import in_files, empty
resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, 2**21))
with in_files(Path(sys.argv[1])):
    try:
        empty(2**22)
    except UnusableData as error:
        print(error.detail)
"""


def test_small_arrays_and_those_outside_are_in_memory(tmp_path: Path):
    with in_files(tmp_path):
        assert empty(1000).base is None
    assert empty(2**22).base is None


def test_a_large_array_is_in_a_file_without_a_name_that_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(array_store, "_SMALLEST", 4096)
    with in_files(tmp_path):
        values = empty(40, 1000)
        assert list(tmp_path.iterdir()) == []
        mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(tmp_path) in line]
        assert len(mapped) == 1
        assert "(deleted)" in mapped[0]
    del values
    gc.collect()
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_what_was_let_go_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(array_store, "_SMALLEST", 4096)
    expected = np.random.default_rng(1).standard_normal((30, 1000))
    with in_files(tmp_path):
        values = empty(30, 1000)
        values[:] = expected
        drop_pages()
        np.testing.assert_array_equal(values, expected)
        copy = spill(values[3])
        assert copy.base is not None
        np.testing.assert_array_equal(copy, expected[3])
    assert spill(expected) is expected


def test_letting_go_returns_memory(tmp_path: Path):
    page = resource.getpagesize()
    with in_files(tmp_path):
        values = empty(2**24)  # 128 MiB
        values[:] = 1.0
        held = int(Path("/proc/self/statm").read_text().split()[1]) * page
        drop_pages()
        after = int(Path("/proc/self/statm").read_text().split()[1]) * page
        assert held - after > 100 * 2**20
        assert float(values.sum()) == 2**24


def test_no_space_is_an_error_before_anything_is_written(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", NO_SPACE, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "32 MiB more on the disk" in done.stdout
