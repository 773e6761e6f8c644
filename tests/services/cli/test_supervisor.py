import os
import signal
import sys
from functools import partial

import pytest
import trio

from cqox.tasks import open_task_group
from services.cli.supervisor import Program, Restarts, supervise
from tests.waiting import until

CHILD = """
import os, signal, sys, time
name, seconds, status = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
def stop(number, frame):
    print(name, "gets", signal.Signals(number).name, flush=True)
    time.sleep(seconds)
    print(name, "ends", flush=True)
    sys.exit(status)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
print(name, "runs", os.getpid(), os.getsid(0), flush=True)
while True:
    time.sleep(1)
"""


def child(name: str, *, seconds: float = 0, status: int = 0, stop_seconds: float = 10) -> Program:
    command = (sys.executable, "-c", CHILD, name, str(seconds), str(status))
    return Program(name=name, command=command, environment=dict(os.environ), stop_seconds=stop_seconds)


class Watched:
    """A running supervisor with its output."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.status: int | None = None

    async def run(self, *programs: Program, attend=None, restarts=None) -> None:
        async def carry_on() -> bool:
            return True

        self.status = await supervise(
            programs,
            attend=attend or carry_on,
            say=self.said.append,
            write=self.lines.append,
            restarts=restarts,
        )

    async def until(self, part: str, times: int = 1) -> None:
        await until(lambda: sum(part in line for line in self.lines) >= times)

    def newest(self, name: str) -> int:
        return int([line for line in self.lines if f"{name} runs" in line][-1].split()[2])

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
        f"gateway gets {number.name}",
        "gateway ends",
        f"engine gets {number.name}",
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
    await watched.run(child("gateway"), dying, attend=trio.sleep_forever)
    assert watched.status == 1
    assert watched.said[0].startswith("The engine ended by itself with exit status 3.")
    assert "the cause" in watched.said[0]
    assert watched.order()[-1] == "gateway ends" or watched.lines == ["the cause"]


@pytest.mark.trio
async def test_a_child_killed_before_all_are_ready_is_reported_with_its_signal_and_stops_the_others():
    watched = Watched()
    async with open_task_group() as group:
        group.start_soon(partial(watched.run, child("engine"), child("gateway"), attend=trio.sleep_forever))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(watched.newest("engine"), signal.SIGKILL)
    assert watched.status == 1
    assert "The engine ended by itself by SIGKILL." in watched.said[0]
    assert watched.order() == ["gateway gets SIGTERM", "gateway ends"]


@pytest.mark.trio
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_child_that_ends_by_itself_later_is_started_again_and_the_others_go_on(number):
    watched = Watched()
    async with open_task_group() as group:
        restarts = Restarts(first_pause=0.05, soon=60, most_soon=10)
        group.start_soon(partial(watched.run, child("engine"), child("gateway"), restarts=restarts))
        await watched.until("gateway runs")
        for times in (1, 2, 3):
            await watched.until("engine runs", times)
            os.kill(watched.newest("engine"), number)
        await watched.until("engine runs", 4)
        await watched.until("gateway runs", 1)
        watched.lines.clear()
        os.kill(os.getpid(), signal.SIGTERM)
    how = "by SIGKILL" if number == signal.SIGKILL else "with exit status 0"
    assert [line.partition(" Its last")[0] for line in watched.said] == [
        f"The engine ended by itself {how}; it is started again in {pause} s." for pause in ("0.05", "0.1", "0.2")
    ]
    assert watched.order() == ["gateway gets SIGTERM", "gateway ends", "engine gets SIGTERM", "engine ends"]
    assert watched.status == 0


@pytest.mark.trio
async def test_a_child_that_keeps_dying_soon_ends_the_others_with_status_1():
    watched = Watched()
    async with open_task_group() as group:
        restarts = Restarts(first_pause=0.01, soon=60, most_soon=3)
        group.start_soon(partial(watched.run, child("engine"), child("gateway"), restarts=restarts))
        await watched.until("gateway runs")
        for times in (1, 2, 3):
            await watched.until("engine runs", times)
            os.kill(watched.newest("engine"), signal.SIGKILL)
    assert watched.status == 1
    assert "by SIGKILL, soon after its start, 3 times in a row." in watched.said[-1]
    assert watched.order() == ["gateway gets SIGTERM", "gateway ends"]


@pytest.mark.trio
async def test_deaths_after_a_life_of_some_length_are_not_added_up():
    watched = Watched()
    async with open_task_group() as group:
        restarts = Restarts(first_pause=0.01, soon=0.0, most_soon=2)
        group.start_soon(partial(watched.run, child("engine"), restarts=restarts))
        for times in (1, 2, 3):
            await watched.until("engine runs", times)
            os.kill(watched.newest("engine"), signal.SIGKILL)
        await watched.until("engine runs", 4)
        os.kill(os.getpid(), signal.SIGINT)
    assert watched.status == 0
    assert all("started again in 0.01 s" in line for line in watched.said)


@pytest.mark.trio
async def test_a_child_that_cannot_use_its_settings_is_not_started_again():
    command = (sys.executable, "-c", "raise SystemExit(2)")
    program = Program(name="engine", command=command, environment=dict(os.environ), stop_seconds=5)
    watched = Watched()
    await watched.run(program)
    assert watched.status == 1
    assert [line.partition(".")[0] for line in watched.said] == ["The engine ended by itself with exit status 2"]


@pytest.mark.trio
async def test_a_signal_in_the_pause_before_a_start_starts_nothing():
    watched = Watched()
    async with open_task_group() as group:
        restarts = Restarts(first_pause=3600)
        group.start_soon(partial(watched.run, child("engine"), child("gateway"), restarts=restarts))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(watched.newest("engine"), signal.SIGKILL)
        await until(lambda: watched.said)
        os.kill(os.getpid(), signal.SIGTERM)
    assert (watched.status, len(watched.said)) == (0, 1)
    assert watched.order() == ["gateway gets SIGTERM", "gateway ends"]


@pytest.mark.trio
async def test_a_start_that_the_system_refuses_is_tried_again_and_the_others_go_on(tmp_path):
    # As where memory or processes are wanting for a moment.
    interpreter = tmp_path / "python"
    interpreter.symlink_to(sys.executable)
    plain = child("engine")
    program = Program(
        name="engine",
        command=(str(interpreter), *plain.command[1:]),
        environment=plain.environment,
        stop_seconds=10,
    )
    watched = Watched()
    async with open_task_group() as group:
        restarts = Restarts(first_pause=0.02, soon=60, most_soon=20)
        group.start_soon(partial(watched.run, program, child("gateway"), restarts=restarts))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        interpreter.unlink()
        os.kill(watched.newest("engine"), signal.SIGKILL)
        await until(lambda: any("cannot be started again" in line for line in watched.said))
        interpreter.symlink_to(sys.executable)
        await watched.until("engine runs", 2)
        watched.lines.clear()
        os.kill(os.getpid(), signal.SIGTERM)
    assert watched.order() == ["gateway gets SIGTERM", "gateway ends", "engine gets SIGTERM", "engine ends"]
    assert watched.status == 0
    assert "is tried again in 0.04 s." in watched.said[1]


@pytest.mark.trio
async def test_a_child_that_the_system_goes_on_refusing_ends_the_others_in_order(tmp_path):
    interpreter = tmp_path / "python"
    interpreter.symlink_to(sys.executable)
    plain = child("engine")
    command = (str(interpreter), *plain.command[1:])
    program = Program(name="engine", command=command, environment=plain.environment, stop_seconds=10)
    watched = Watched()
    async with open_task_group() as group:
        restarts = Restarts(first_pause=0.01, soon=60, most_soon=3)
        group.start_soon(partial(watched.run, program, child("gateway"), restarts=restarts))
        await watched.until("engine runs")
        await watched.until("gateway runs")
        interpreter.unlink()
        os.kill(watched.newest("engine"), signal.SIGKILL)
    assert watched.status == 1
    assert watched.order() == ["gateway gets SIGTERM", "gateway ends"]
    assert watched.said[-1].startswith("The engine cannot be started again: ")


def test_the_pause_before_a_start_doubles_up_to_its_bound():
    restarts = Restarts(first_pause=1, longest_pause=5)
    assert [restarts.pause(soon) for soon in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]


@pytest.mark.trio
async def test_a_second_signal_kills_at_once():
    watched = Watched()
    engine, gateway = (child(name, seconds=3600, stop_seconds=3600) for name in ("engine", "gateway"))
    async with open_task_group() as group:
        group.start_soon(watched.run, engine, gateway)
        await watched.until("engine runs")
        await watched.until("gateway runs")
        os.kill(os.getpid(), signal.SIGINT)
        await watched.until("gateway gets SIGINT")
        os.kill(os.getpid(), signal.SIGINT)
    assert watched.status == 1
    assert not any("engine gets" in line for line in watched.lines)


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
