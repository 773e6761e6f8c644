"""Identities of cancel scopes, which say at little cost whether the running code is directly inside of one.

They rely on private names of AnyIO and Trio, only to be fast: `event_loop` makes one where these names exist, and
computes every result without them.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

__all__ = ["UNKNOWN_SCOPE", "AnyioScopeId", "ScopeId", "TrioScopeId", "run_context_of"]


class ScopeId:
    """Identity of a scope of one task: what the event loop's record of the task keeps of it while it is innermost.

    Attributes:
        record: the record of the task; None where the scope is unknown.
        kept: what it keeps.
        task: the task.
    """

    __slots__ = ("kept", "record", "task")

    def __init__(self, record: Any, kept: object, task: object) -> None:  # noqa: ANN401 - a private type of a loop
        self.record = record
        self.kept = kept
        self.task = task

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScopeId) and self.record is other.record and self.kept is other.kept

    __hash__ = None  # type: ignore[assignment]  # the records are not hashable

    def is_innermost(self) -> bool:
        """Return whether the running code is in the task, directly inside of the scope."""
        return False


UNKNOWN_SCOPE: Final = ScopeId(None, None, None)
"""The identity of a scope that is not exposed, or that nobody has looked for yet."""


class AnyioScopeId(ScopeId):
    """That of a scope of AnyIO on asyncio."""

    __slots__ = ("_current_task",)

    def __init__(self, record: object, scope: object, task: object, current_task: Callable[[], object]) -> None:
        super().__init__(record, scope, task)
        self._current_task = current_task

    def is_innermost(self) -> bool:
        """See `ScopeId.is_innermost`."""
        try:
            return self.record.cancel_scope is self.kept and self._current_task() is self.task
        except RuntimeError:  # asyncio does not run on this thread
            return False


class TrioScopeId(ScopeId):
    """That of a scope of Trio."""

    __slots__ = ("_run_context",)

    def __init__(self, task: object, status: object, run_context: Any) -> None:  # noqa: ANN401 - see `run_context_of`
        super().__init__(task, status, task)
        self._run_context = run_context

    def is_innermost(self) -> bool:
        """See `ScopeId.is_innermost`."""
        try:
            return self.record._cancel_status is self.kept and self._run_context.task is self.task
        except (AttributeError, RuntimeError):  # no task of Trio runs on this thread
            return False


class _PublicRunContext:
    __slots__ = ("_current_task",)

    def __init__(self, current_task: Callable[[], object]) -> None:
        self._current_task = current_task

    @property
    def task(self) -> object:
        return self._current_task()


def run_context_of(trio: Any) -> Any:  # noqa: ANN401 - the module is not importable here, so it has no type
    """Return what has the current task of Trio on this thread as its `task`; reading it fails outside of a task."""
    context = getattr(sys.modules.get("trio._core._run"), "GLOBAL_RUN_CONTEXT", None)
    return _PublicRunContext(trio.lowlevel.current_task) if context is None else context
