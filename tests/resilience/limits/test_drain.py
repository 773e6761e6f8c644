"""The drain: rejection of new work, work in flight, and the report."""

import math
import threading

import anyio
import pytest

from cqox.errors import Draining
from cqox.resilience.composition.policy import Policy
from cqox.resilience.deadlines.timeout import Timeout
from cqox.resilience.limits.drain import Drain, DrainReport
from cqox.resilience.pipeline.permit import NO_RESULT
from cqox.resilience.testing import FakeClock, capture_events
from cqox.tasks import open_task_group
from tests.resilience.conftest import Run


def names(report: DrainReport) -> list[str]:
    return [work.name for work in report.cut]


async def work(drain: Drain, name: str, seconds: float) -> None:
    with drain.entry(name):
        await anyio.sleep(seconds)


def test_once_begun_it_refuses_what_is_new_and_says_when_to_come_back() -> None:
    drain = Drain("gateway", retry_after=3.0)
    with drain.entry("first"):
        pass
    assert not drain.begun
    drain.begin()
    drain.begin()
    rejections = []
    for _ in range(2):
        with (
            pytest.raises(Draining, match="Shutting down: 'gateway' accepts no new work") as caught,
            drain.entry("second"),
        ):
            pytest.fail("let in")
        rejections.append(caught.value)
    assert rejections[0] is not rejections[1]
    assert rejections[0].retry_after == 3.0
    assert rejections[0].__context__ is None


def test_it_waits_for_exactly_as_long_as_the_last_work_takes(run: Run) -> None:
    drain = Drain()

    async def main() -> DrainReport:
        async with open_task_group() as group:
            for seconds in (5.0, 1.0, 3.0):
                group.start_soon(work, drain, f"{seconds} s", seconds)
            await anyio.wait_all_tasks_blocked()
            assert sorted(entry.name for entry in drain.in_flight) == ["1.0 s", "3.0 s", "5.0 s"]
            return await drain.wait(grace=30.0)

    report = run(main)
    assert (report.finished, report.cut) == (3, ())
    assert report.seconds == pytest.approx(5.0)


def test_what_outlasts_the_grace_is_named_with_its_age(run: Run) -> None:
    drain = Drain()

    async def main() -> DrainReport:
        async with open_task_group() as app:
            app.start_soon(work, drain, "long", 100.0)
            app.start_soon(work, drain, "short", 12.0)
            await anyio.sleep(10.0)
            report = await drain.wait(grace=30.0)
            app.cancel_scope.cancel()
            return report

    report = run(main)
    assert (report.finished, names(report)) == (1, ["long"])
    assert report.cut[0].seconds == pytest.approx(40.0)
    assert report.seconds == pytest.approx(30.0)
    assert drain.in_flight == ()


def test_it_may_wait_for_as_long_as_it_takes_and_for_no_time_at_all(run: Run) -> None:
    patient, impatient = Drain(), Drain()

    async def main() -> tuple[DrainReport, DrainReport]:
        async with open_task_group() as group:
            group.start_soon(work, patient, "hour", 3600.0)
            group.start_soon(work, impatient, "hour", 3600.0)
            await anyio.wait_all_tasks_blocked()
            return await impatient.wait(grace=0.0), await patient.wait(grace=math.inf)

    at_once, at_last = run(main)
    assert (names(at_once), at_once.seconds) == (["hour"], pytest.approx(0.0))
    assert (at_last.cut, at_last.seconds) == ((), pytest.approx(3600.0))


def test_with_nothing_in_flight_it_is_over_at_once(run: Run) -> None:
    async def main() -> DrainReport:
        return await Drain().wait(grace=30.0)

    assert run(main) == DrainReport(finished=0, cut=(), seconds=0.0)
    assert Drain(clock=FakeClock()).wait_sync(grace=30.0) == DrainReport(finished=0, cut=(), seconds=0.0)


def test_work_that_fails_or_is_cancelled_has_ended_too(run: Run) -> None:
    drain = Drain()

    async def fail() -> None:
        with drain.entry("fails"):
            await anyio.sleep(1.0)
            raise ZeroDivisionError

    async def expect_failure() -> None:
        with pytest.raises(ZeroDivisionError):
            await fail()

    async def cut_short() -> None:
        with anyio.move_on_after(2.0):
            await work(drain, "cut", 100.0)

    async def main() -> DrainReport:
        async with open_task_group() as group:
            group.start_soon(expect_failure)
            group.start_soon(cut_short)
            await anyio.wait_all_tasks_blocked()
            return await drain.wait(grace=30.0)

    report = run(main)
    assert (report.finished, report.cut, report.seconds) == (2, (), pytest.approx(2.0))


def test_a_wait_that_is_cancelled_leaves_the_drain_begun_and_can_be_taken_up_again(run: Run) -> None:
    drain = Drain()

    async def main() -> DrainReport:
        async with open_task_group() as group:
            group.start_soon(work, drain, "job", 5.0)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(1.0) as scope:
                await drain.wait(grace=30.0)
            assert scope.cancelled_caught
            assert drain.begun
            assert drain._waiters == []
            return await drain.wait(grace=30.0)

    report = run(main)
    assert (report.finished, report.seconds) == (1, pytest.approx(5.0))


def test_several_may_wait_for_one_drain(run: Run) -> None:
    drain, reports = Drain(), list[DrainReport]()

    async def wait(grace: float) -> None:
        reports.append(await drain.wait(grace))

    async def main() -> None:
        async with open_task_group() as group:
            group.start_soon(work, drain, "job", 5.0)
            await anyio.wait_all_tasks_blocked()
            for grace in (2.0, 30.0, 40.0):
                group.start_soon(wait, grace)

    run(main)
    assert [names(report) for report in reports] == [["job"], [], []]
    assert [report.seconds for report in reports] == pytest.approx([2.0, 5.0, 5.0])


@pytest.mark.parametrize("grace", [-1.0, math.nan, "30", None])
def test_a_nonsense_grace_is_refused_and_begins_nothing(grace: float, run: Run) -> None:
    drain = Drain()

    async def main() -> None:
        with pytest.raises(ValueError, match="grace must be a number of seconds at least 0"):
            await drain.wait(grace)

    run(main)
    with pytest.raises(ValueError, match="grace must be a number of seconds at least 0"):
        drain.wait_sync(grace)
    assert not drain.begun


@pytest.mark.parametrize("retry_after", [-1.0, math.nan, math.inf])
def test_nonsense_settings_are_refused_with_value_and_range(retry_after: float) -> None:
    with pytest.raises(ValueError, match=f"retry_after must be .* not {retry_after!r}"):
        Drain(retry_after=retry_after)


def test_a_thread_waits_until_others_have_finished() -> None:
    drain, inside, finish = Drain(), threading.Barrier(5), threading.Event()

    def serve() -> None:
        with drain.entry("request"):
            inside.wait(10)
            finish.wait(10)

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    assert len(drain.in_flight) == 4
    drain.begin()
    finish.set()
    report = drain.wait_sync(grace=10.0)
    for thread in threads:
        thread.join()
    assert (report.finished, report.cut) == (4, ())


def test_a_thread_waits_no_longer_than_the_grace() -> None:
    clock = FakeClock()
    drain = Drain(clock=clock)
    permit = drain.admit(None)
    report = drain.wait_sync(grace=30.0)
    assert (names(report), report.seconds, clock.sleeps) == (["drain"], 30.0, [30.0])
    permit.succeed(NO_RESULT)
    assert drain.wait_sync(grace=30.0).cut == ()


def test_work_in_threads_and_tasks_is_waited_for_together(run: Run) -> None:
    drain, entered, leave = Drain(), threading.Event(), threading.Event()

    def serve() -> None:
        with drain.entry("thread"):
            entered.set()
            leave.wait(10)

    async def main() -> DrainReport:
        async with open_task_group() as group:
            group.start_soon(work, drain, "task", 3.0)
            thread = threading.Thread(target=serve)
            thread.start()
            assert entered.wait(10)
            await anyio.wait_all_tasks_blocked()
            assert sorted(entry.name for entry in drain.in_flight) == ["task", "thread"]
            drain.begin()
            leave.set()
            thread.join(10)
            return await drain.wait(grace=30.0)

    report = run(main)
    assert (report.finished, report.cut) == (2, ())


def test_as_the_outermost_part_of_a_policy_it_counts_calls_and_refuses_them(run: Run) -> None:
    drain = Drain("gateway")
    policy = Policy("gateway drain test", drain, Timeout(60.0))

    @policy
    async def handle(seconds: float) -> str:
        await anyio.sleep(seconds)
        return "answer"

    async def main() -> DrainReport:
        answers: list[str] = []

        async def request() -> None:
            answers.append(await handle(5.0))

        async with open_task_group() as group:
            group.start_soon(request)
            await anyio.wait_all_tasks_blocked()
            report = await drain.wait(grace=30.0)
        assert answers == ["answer"]
        with capture_events() as events, pytest.raises(Draining):
            await handle(0.0)
        assert [type(event).__name__ for event in events] == ["CallRejected"]
        return report

    report = run(main)
    assert (report.finished, report.seconds) == (1, pytest.approx(5.0))


async def entered_as_a_block(drain: Drain) -> list[str]:
    async with drain:
        names_inside = [entry.name for entry in drain.in_flight]
    with drain:
        names_inside += [entry.name for entry in drain.in_flight]
    return names_inside


def test_a_block_counts_under_the_name_of_the_drain(run: Run) -> None:
    drain = Drain("app")

    async def main() -> list[str]:
        return await entered_as_a_block(drain)

    assert run(main) == ["app", "app"]
    assert drain.in_flight == ()
