"""Only processes that this run has started are signalled, and never another one that has got the same number."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cqox.chaos.experiments.ownership import NotOurs, Owned, Processes, children_of, start_of
from tests.waiting import wait_until

SLEEPING = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    made = subprocess.Popen([sys.executable, "-c", SLEEPING], start_new_session=True)
    try:
        wait_until(lambda: children_of(made.pid))
        yield made
    finally:
        if made.poll() is None:
            os.killpg(made.pid, signal.SIGKILL)
            made.wait()


def test_a_process_of_the_run_is_signalled_with_what_it_has_started(child: subprocess.Popen[bytes]) -> None:
    owned = Processes()
    assert owned.add(child.pid) == Owned(child.pid, start_of(child.pid) or 0)
    (grandchild,) = children_of(child.pid)
    signalled = owned.signal(child.pid, signal.SIGSTOP, with_children=True)
    assert [each.pid for each in signalled] == [child.pid, grandchild]
    wait_until(lambda: all(_state(pid) == "T" for pid in (child.pid, grandchild)))
    owned.signal(child.pid, signal.SIGKILL, with_children=True)
    assert child.wait(60) == -signal.SIGKILL


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_a_process_of_somebody_else_is_not_touched(child: subprocess.Popen[bytes]) -> None:
    owned = Processes()
    with pytest.raises(NotOurs, match="did not start it"):
        owned.signal(child.pid, signal.SIGKILL)
    with pytest.raises(NotOurs, match=f"process {os.getppid()} is not touched: this run did not start it"):
        owned.add(os.getppid())
    with pytest.raises(NotOurs):
        owned.add(1)
    assert child.poll() is None


def test_a_number_that_another_process_has_got_is_not_signalled(child: subprocess.Popen[bytes]) -> None:
    owned = Processes()
    owned.add(child.pid)
    # As if it had ended and its number were used again: the start is another one.
    owned._roots[child.pid] = Owned(child.pid, 1)
    with pytest.raises(NotOurs, match="has ended"):
        owned.signal(child.pid, signal.SIGKILL)
    assert not owned.signal_one(Owned(child.pid, 1), signal.SIGKILL)
    time.sleep(0.05)
    assert child.poll() is None


def test_a_process_that_has_ended_is_not_signalled(child: subprocess.Popen[bytes]) -> None:
    owned = Processes()
    found = owned.add(child.pid)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not owned.signal_one(found, signal.SIGKILL)
    assert start_of(child.pid) is None
    with pytest.raises(NotOurs):
        owned.signal(child.pid, signal.SIGKILL)
