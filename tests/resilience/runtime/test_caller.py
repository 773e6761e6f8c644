"""The caller of a call, in blocks and tasks."""

import pytest

from cqox.resilience.runtime.caller import caller, current_caller
from cqox.tasks import open_task_group


def test_the_innermost_block_names_the_caller() -> None:
    assert current_caller() is None
    with caller("a"):
        with caller("b"):
            assert current_caller() == "b"
        assert current_caller() == "a"
    assert current_caller() is None


@pytest.mark.anyio
async def test_a_task_has_the_caller_of_the_group_it_runs_in() -> None:
    seen = list[object]()

    async def look() -> None:
        seen.append(current_caller())

    async with open_task_group() as outer:
        with caller("a"):
            async with open_task_group() as inner:
                inner.start_soon(look)
            # Work of an outer group is for every caller.
            outer.start_soon(look)
    assert seen == ["a", None]
