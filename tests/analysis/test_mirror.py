"""Copies of tables that lie elsewhere: one for all who need it, bounded, never removed under anyone."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import anyio
import pytest
from anyio import CapacityLimiter

from cqox.analysis import mirror as mirror_module
from cqox.analysis.mirror import Mirror
from cqox.analysis.mirror_folder import Hold
from cqox.errors import BulkheadFull, LimitExceeded, SourceUnavailable, StorageFull
from cqox.sources import RemoteTable
from tests.analysis.scripted_table import ScriptedTable
from tests.waiting import wait_until

pytestmark = pytest.mark.anyio
ABOUT = {"source": "lake", "table": "visits"}


def table_named(name: str) -> Mapping[str, str]:
    return {**ABOUT, "table": name}


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir()) if root.is_dir() else []


async def use(mirror: Mirror, table: ScriptedTable, *, about: Mapping[str, str] = ABOUT) -> Path:
    async with mirror.held(
        cast("RemoteTable", table), about, limiter=CapacityLimiter(4), report=lambda _: None
    ) as folder:
        assert (folder / "00000" / "a.parquet").stat().st_size == 10 * table.blocks
        return folder


async def test_a_copy_is_used_again_for_its_snapshot_alone(tmp_path: Path) -> None:
    mirror, table = Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=0), ScriptedTable()
    assert await use(mirror, table) == await use(mirror, table)
    assert table.begun == 1
    await use(mirror, table, about=table_named("orders"))
    assert (table.begun, len(names(tmp_path / "m"))) == (2, 2)
    table.snapshot = "two"
    first, second = names(tmp_path / "m")
    await use(mirror, table)
    assert len({first, second} & set(names(tmp_path / "m"))) == 1
    assert (table.begun, len(names(tmp_path / "m"))) == (3, 2)
    mirror.clear()
    assert names(tmp_path / "m") == []


async def test_two_requests_make_one_copy(tmp_path: Path) -> None:
    mirror, begun = Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=0), threading.Event()
    table = ScriptedTable(before=lambda _: begun.set())
    table.gate.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(use, mirror, table)
        await anyio.to_thread.run_sync(begun.wait)
        group.start_soon(use, mirror, table)
        await anyio.wait_all_tasks_blocked()
        table.gate.set()
    assert table.begun == 1


async def test_who_waits_takes_over_from_who_is_cancelled(tmp_path: Path) -> None:
    mirror, begun = Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=0), threading.Event()
    table, scope = ScriptedTable(before=lambda _: begun.set()), anyio.CancelScope()
    table.gate.clear()

    async def leave() -> None:
        with scope:
            await use(mirror, table)

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        await anyio.to_thread.run_sync(begun.wait)
        group.start_soon(use, mirror, table)
        scope.cancel()
        # The thread that was left still waits for its next block meanwhile.
        await anyio.to_thread.run_sync(wait_until, lambda: table.begun == 2)
        table.gate.set()
    assert scope.cancelled_caught
    await anyio.to_thread.run_sync(wait_until, lambda: len(names(tmp_path / "m")) == 1)
    (name,) = names(tmp_path / "m")
    assert name.endswith(".30")


async def test_the_least_recently_used_makes_way_and_none_in_use(tmp_path: Path) -> None:
    root = tmp_path / "m"
    mirror = Mirror(root, most_bytes=70, reserve_bytes=0)
    first = await use(mirror, ScriptedTable(), about=table_named("1"))
    second = await use(mirror, ScriptedTable(), about=table_named("2"))
    os.utime(first, (1, 1))
    os.utime(second, (2, 2))
    await use(mirror, ScriptedTable(), about=table_named("1"))
    third = await use(mirror, ScriptedTable(), about=table_named("3"))
    assert names(root) == sorted([first.name, third.name])
    os.utime(first, (1, 1))
    hold = Hold.of(first)
    assert hold is not None
    fourth = await use(mirror, ScriptedTable(), about=table_named("4"))
    assert names(root) == sorted([first.name, fourth.name])
    other = Hold.of(fourth)
    with pytest.raises(BulkheadFull) as caught:
        await use(mirror, ScriptedTable(), about=table_named("5"))
    assert caught.value.retry_after > 0
    hold.release()
    await use(mirror, ScriptedTable(), about=table_named("5"))
    assert other is not None
    other.release()


async def test_copies_in_the_making_take_their_space(tmp_path: Path) -> None:
    mirror, begun = Mirror(tmp_path / "m", most_bytes=50, reserve_bytes=0), threading.Event()
    table = ScriptedTable(before=lambda _: begun.set())
    table.gate.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(use, mirror, table)
        await anyio.to_thread.run_sync(begun.wait)
        with pytest.raises(BulkheadFull):
            await use(mirror, ScriptedTable(), about=table_named("orders"))
        table.gate.set()
    await use(mirror, ScriptedTable(), about=table_named("orders"))


async def test_a_table_beyond_the_limit_or_the_disk_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = Mirror(tmp_path / "m", most_bytes=20, reserve_bytes=0)
    table = ScriptedTable()
    with pytest.raises(LimitExceeded, match=r"'visits' of 'lake' has 30 bytes.*at most 20 bytes"):
        await use(mirror, table)
    assert table.begun == 0
    # One whose size nobody has said ends where it exceeds the limit.
    with pytest.raises(LimitExceeded, match=r"at least 30 bytes"):
        await use(mirror, ScriptedTable(size_bytes=None))
    assert names(tmp_path / "m") == []
    with pytest.raises(StorageFull):
        await use(Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=2**62), table)
    assert (table.begun, names(tmp_path / "m")) == (0, [])


async def test_a_full_disk_costs_copies_that_nobody_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = Mirror(tmp_path / "m", most_bytes=1000, reserve_bytes=0)
    first = await use(mirror, ScriptedTable())

    def check_room(*_: object, wanted_bytes: int) -> None:
        if first.exists():
            raise StorageFull("full")

    monkeypatch.setattr(mirror_module, "check_room", check_room)
    second = await use(mirror, ScriptedTable(), about=table_named("2"))
    assert names(tmp_path / "m") == [second.name]


async def test_a_failure_is_that_of_the_server_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(number: int) -> None:
        if number:
            raise SourceUnavailable("away")

    mirror = Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=0)
    with pytest.raises(SourceUnavailable, match="away"):
        await use(mirror, ScriptedTable(before=fail))
    assert names(tmp_path / "m") == []
    await use(mirror, ScriptedTable())


async def test_what_nothing_identifies_is_copied_each_time_and_goes(tmp_path: Path) -> None:
    mirror, table = Mirror(tmp_path / "m", most_bytes=100, reserve_bytes=0), ScriptedTable(snapshot=None)
    for number in (1, 2):
        await use(mirror, table)
        assert (table.begun, names(tmp_path / "m")) == (number, [])


async def test_the_next_start_removes_what_is_half_made_and_too_much(tmp_path: Path) -> None:
    root = tmp_path / "m"
    mirror = Mirror(root, most_bytes=100, reserve_bytes=0)
    await use(mirror, ScriptedTable(), about=table_named("1"))
    whole = await use(mirror, ScriptedTable(), about=table_named("2"))
    os.utime(whole, (2**31, 2**31))
    (root / ".half" / "00000").mkdir(parents=True)
    (root / ".made").mkdir()
    hold = Hold.of(root / ".made")
    Mirror(root, most_bytes=40).tidy()
    assert names(root) == sorted([".made", whole.name])
    assert hold is not None
    hold.release()
    Mirror(tmp_path / "none", most_bytes=40).tidy()


async def test_progress_has_few_steps_and_ends_with_all_bytes(tmp_path: Path) -> None:
    steps: list[Mapping[str, object]] = []
    mirror = Mirror(tmp_path / "m", most_bytes=10**6, reserve_bytes=0)
    table = ScriptedTable(size_bytes=20_000, blocks=2_000)
    async with mirror.held(cast("RemoteTable", table), ABOUT, limiter=CapacityLimiter(1), report=steps.append):
        pass
    assert steps[-1] == {"step": "copy", "copied_bytes": 20_000, "size_bytes": 20_000}
    assert len(steps) <= 22
