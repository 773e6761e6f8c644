"""Frames in forked processes: a refusal in place of a wait without an end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys
from pathlib import Path
import cqox
import polars as pl
path, used = Path(sys.argv[1]), sys.argv[2]
frame = pl.DataFrame({"y": [1.0, 2.0]})
if used == "polars":
    frame.write_csv(path)
elif used == "cqox":
    from cqox.frames import take
    take(frame, path)
elif used == "late":
    import cqox.forks
    named = cqox.forks._name
    frame.write_csv(path)
    late = iter(range(200))
    cqox.forks._name = lambda thread: named(str(os.getpid())) if next(late, None) is not None else named(thread)
pid = os.fork()
if not pid:
    from cqox.frames import as_polars, take
    try:
        as_polars(frame)
        take(frame, path)
        print("read", flush=True)
    except cqox.errors.InvalidRequest as error:
        print("spawn" in str(error) and "forkserver" in str(error) and error.field, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("used", "wanted"), [("polars", "data"), ("late", "data"), ("cqox", "data"), ("nothing", "read")]
)
def test_a_fork_after_polars_has_started_its_threads_is_refused_at_once(used: str, wanted: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(tmp_path / "f"), used]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == wanted, done.stderr
