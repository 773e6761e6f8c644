import subprocess
import sys
import time

from benchmarks._spent import cpu_seconds, peak_mib

_CHILD = """
import sys
kept = bytearray(200 << 20)
while sum(__import__("os").times()[:2]) < 0.5:
    pass
print("ready", flush=True)
sys.stdin.read()
"""


def test_time_and_memory_of_a_living_child_are_counted() -> None:
    cpu, mib = cpu_seconds(), peak_mib()
    child = subprocess.Popen([sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert cpu_seconds() - cpu > 0.4
        assert peak_mib() - mib > 190
        assert child.stdin is not None
        child.stdin.close()


def test_time_of_its_own_work_is_counted() -> None:
    cpu, until = cpu_seconds(), time.process_time() + 0.2
    while time.process_time() < until:
        pass
    assert cpu_seconds() - cpu >= 0.19
