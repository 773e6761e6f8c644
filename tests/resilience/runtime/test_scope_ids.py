"""Identities of scopes: innermost only for code of their task that is directly inside of them."""

import math
import sys
from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest
import trio

from cqox.resilience.runtime.event_loop import current_loop
from cqox.resilience.runtime.scope_ids import UNKNOWN_SCOPE, ScopeId, run_context_of

type Run = Callable[..., object]


def test_a_scope_identity_is_innermost_for_its_task_directly_inside_of_it_alone(run: Run) -> None:
    async def main() -> None:
        loop = current_loop()
        assert loop is not None
        seen = []

        async def look(of: ScopeId) -> None:
            seen.append(of.is_innermost())

        with loop.new_scope(deadline=loop.time() + 5.0) as scope:
            found = loop.scope_id_of(loop.task())
            assert found is not None
            assert found == loop.id_of(scope, loop.task())
            assert found.is_innermost()
            with loop.new_scope(deadline=math.inf):
                assert not found.is_innermost()
            async with anyio.create_task_group() as group:
                group.start_soon(look, found)
            assert found.is_innermost()
            assert not await anyio.to_thread.run_sync(found.is_innermost)
        assert not found.is_innermost()
        assert seen == [False]

    run(main)


def test_a_scope_identity_is_not_innermost_for_another_task_while_its_own_waits_directly_inside_of_it(run: Run) -> None:
    async def main() -> None:
        loop = current_loop()
        assert loop is not None
        seen, looked = [], anyio.Event()

        async def look(of: ScopeId) -> None:
            seen.append(of.is_innermost())
            looked.set()

        async with anyio.create_task_group() as group:
            with loop.new_scope(deadline=loop.time() + 5.0):
                found = loop.scope_id_of(loop.task())
                assert found is not None
                group.start_soon(look, found)
                await looked.wait()
        assert seen == [False]

    run(main)


def test_an_unknown_scope_is_no_innermost_one_and_equals_no_other() -> None:
    assert not UNKNOWN_SCOPE.is_innermost()
    assert ScopeId("record", "kept", "task") != UNKNOWN_SCOPE
    assert UNKNOWN_SCOPE != "scope"


@pytest.mark.parametrize("renamed", [False, True])
def test_the_current_task_of_trio_is_read_with_and_without_its_private_name(
    monkeypatch: pytest.MonkeyPatch, renamed: bool
) -> None:
    contexts: list[object] = []

    async def main() -> None:
        context = contexts[0]
        assert context.task is trio.lowlevel.current_task()

    with monkeypatch.context() as hidden:
        if renamed:
            hidden.delattr(sys.modules["trio._core._run"], "GLOBAL_RUN_CONTEXT")
        contexts.append(run_context_of(trio))
    trio.run(main)
    with pytest.raises((AttributeError, RuntimeError)):
        contexts[0].task  # noqa: B018 - reading it fails
