"""Visibility of a process that refuses dumps to other processes of its user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cqox.dumps

# Run as another user, who may not be able to read this checkout.
REFUSING = Path(cqox.dumps.__file__).read_text(encoding="utf-8") + (
    "\nimport sys\nprint(refuse_dumps(), flush=True)\nsys.stdin.read()\n"
)
READING = """
import subprocess, sys
other = subprocess.Popen([sys.executable, "-c", {program!r}], stdin=-1, stdout=-1)
assert other.stdout.readline() == b"True\\n"
try:
    open(f"/proc/{{other.pid}}/environ", "rb").read()
    print("read")
except PermissionError:
    print("refused")
other.stdin.close()
other.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows it")
@pytest.mark.parametrize(
    ("program", "seen"), [(REFUSING, b"refused\n"), ("print(True, flush=True); input()", b"read\n")]
)
def test_another_process_of_the_user_cannot_read_the_environment(program, seen):
    # Root may read everything.
    become = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    interpreter = Path(sys.executable).resolve()
    command = [interpreter, "-c", READING.format(program=program)]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, cwd="/", capture_output=True, **become)
    assert done.stdout == seen, done.stderr.decode()[-500:]
