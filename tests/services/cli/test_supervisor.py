import os
import signal
import sys
import time

import pytest
import trio

from cqox.tasks import open_task_group
from services.cli.supervisor import Program, supervise

CHILD = """
import os, signal, sys, time
name, seconds, status = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
def told(number, frame):
    print(name, "told", signal.Signals(number).name, flush=True)
    time.sleep(seconds)
    print(name, "ends", flush=True)
    sys.exit(status)
signal.signal(signal.SIGTERM, told)
signal.signal(signal.SIGINT, told)
print(name, "runs", os.getpid(), os.getsid(0), flush=True)
while True:
    time.sleep(1)
"""


def child(name: str, *, seconds: float = 0, status: int = 0, stop_seconds: float = 10) -> Program:
    command = (sys.executable, "-c", CHILD, name, str(seconds), str(status))
    return Program(name=name, command=command, environment=dict(os.environ), stop_seconds=stop_seconds)


class Watched:
    """A supervisor at work, and what it let be seen."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.status: int | None = None

    async def run(self, *programs: Program, attend=None) -> None:
        async def carry_on() -> bool:
            return True

        self.status = await supervise(
            programs, attend=attend or carry_on, say=self.said.append, write=self.lines.append
        )

    async def until(self, part: str) -> None:
        with trio.fail_after(10):
            while not any(part in line for line in self.lines):
                await trio.sleep(0.005)

    def order(self) -> list[str]:
        return [line for line in self.lines if " runs " not in line]


@pytest.mark.trio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_is_passed_on_once_and_children_end_in_the_opposite_order(number):
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine"), child("gateway", seconds=0.2))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(os.getpid(), number)
    assert watched.order() == [
        f"gateway told {number.name}",
        "gateway ends",
        f"engine told {number.name}",
        "engine ends",
    ]
    assert (watched.status, watched.said) == (0, [])


@pytest.mark.trio
async def test_every_child_leads_a_session_of_its_own():
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine"), child("gateway"))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(os.getpid(), signal.SIGINT)
    for line in watched.lines:
        if " runs " in line:
            *_, process, session = line.split()
            assert process == session != str(os.getsid(0))


@pytest.mark.trio
async def test_a_child_that_dies_is_named_with_its_last_lines_and_the_other_is_stopped():
    dying = Program(
        name="engine",
        command=(sys.executable, "-c", "print('the cause', flush=True); raise SystemExit(3)"),
        environment=dict(os.environ),
        stop_seconds=5,
    )
    watched = Watched()
    await watched.run(child("gateway"), dying)
    assert watched.status == 1
    assert watched.said[0].startswith("The engine ended by itself with exit status 3.")
    assert "the cause" in watched.said[0]
    assert watched.order()[-1] == "gateway ends" or watched.lines == ["the cause"]


@pytest.mark.trio
async def test_a_killed_child_is_told_by_its_signal():
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine"), child("gateway"))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        (line,) = [line for line in watched.lines if "engine runs" in line]
        os.kill(int(line.split()[2]), signal.SIGKILL)
    assert watched.status == 1
    assert "The engine ended by itself by SIGKILL" in watched.said[0]
    assert watched.order() == ["gateway told SIGTERM", "gateway ends"]


@pytest.mark.trio
async def test_a_second_signal_kills_at_once():
    watched, began = Watched(), time.monotonic()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine", seconds=60), child("gateway", seconds=60))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(os.getpid(), signal.SIGINT)
        await watched.until("gateway told SIGINT")
        os.kill(os.getpid(), signal.SIGINT)
    assert watched.status == 1
    assert time.monotonic() - began < 10
    assert not any("engine told" in line for line in watched.lines)


@pytest.mark.trio
async def test_a_child_that_does_not_end_in_time_is_killed_and_said():
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine", seconds=60, stop_seconds=0.1))
        await watched.until("engine runs")
        os.kill(os.getpid(), signal.SIGTERM)
    assert watched.status == 1
    assert "did not end within 0.1 s" in watched.said[0]


@pytest.mark.trio
async def test_a_child_that_cut_something_makes_the_status_1():
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine"), child("gateway", status=1))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(os.getpid(), signal.SIGTERM)
    assert watched.status == 1
    assert watched.said == ["The gateway ended with exit status 1."]


@pytest.mark.trio
async def test_giving_up_ends_all_children_with_status_1():
    async def give_up() -> bool:
        await trio.sleep(0.01)
        return False

    watched = Watched()
    await watched.run(child("engine"), attend=give_up)
    assert watched.status == 1


@pytest.mark.trio
async def test_a_cancelled_supervisor_leaves_no_child_behind():
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(watched.run, child("engine"))
        await watched.until("engine runs")
        process = int(watched.lines[0].split()[2])
        group.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
