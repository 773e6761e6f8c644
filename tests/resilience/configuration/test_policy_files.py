"""Policy files of a registry: loaded once, reloaded in place, all or nothing."""

import gc
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from cqox.errors import CircuitOpen
from cqox.resilience import CircuitBreaker, CircuitState, Policy, PolicyFileInvalid, Registry, Retry, Timeout
from tests.resilience.conftest import Run

FILE = """
[budgets.shared]
ratio = 0.5

[[policies.engine]]
part = "CircuitBreaker"
failure_threshold = 2

[[policies.engine]]
part = "Retry"
max_attempts = 2
base_delay = 0
idempotent = true
budget = "shared"

[[policies.engine]]
part = "Timeout"
seconds = 5

[[policies.store]]
part = "Hedge"
delay = 1

[[policies.store]]
part = "Timeout"
seconds = 3
"""

HEDGE = 'part = "Hedge"\ndelay = 1'
BUDGET = 'budget = "shared"'


class File:
    """A policy file and the registry that loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.registry = Registry()
        self.path.write_text(FILE)

    def change(self, old: str, new: str) -> tuple[str, ...]:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))
        return self.registry.reload(self.path)

    def refused(self, act: Callable[[], object]) -> list[str]:
        with pytest.raises(PolicyFileInvalid) as caught:
            act()
        return list(caught.value.problems)

    def policy(self, name: str) -> Policy:
        found = self.registry[name]
        assert isinstance(found, Policy)
        return found


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "policies.toml")


def test_policies_are_created_and_kept(file: File) -> None:
    policies = file.registry.load(str(file.path))
    gc.collect()
    assert [*policies] == ["engine", "store"]
    assert policies["engine"] is file.registry["engine"]
    assert policies["engine"].call(lambda: 1) == 1
    assert file.refused(lambda: file.registry.load(file.path)) == ["it is loaded already: reload it"]


def test_functions_that_wait_are_guarded_by_the_load(file: File) -> None:
    async def store() -> str:
        return "stored"

    guarded = file.registry.policy("store")(store)
    assert file.registry.missing() == ["store"]
    file.registry.load(file.path)
    assert file.registry.missing() == []
    assert vars(guarded)["__cqox_policy__"] is file.registry["store"]


def test_a_reload_changes_settings_and_keeps_state(file: File, run: Run) -> None:
    file.registry.load(file.path)
    engine = file.policy("engine")
    breaker = engine.part(CircuitBreaker)

    @engine
    async def fail() -> None:
        raise ConnectionError

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await fail()
        assert breaker.state is CircuitState.OPEN
        assert file.change("seconds = 5", "seconds = 2") == ("policies.engine[2].seconds",)
        assert file.change("failure_threshold = 2", "recovery_timeout = 5") == (
            "policies.engine[0].failure_threshold",
            "policies.engine[0].recovery_timeout",
        )
        assert breaker.state is CircuitState.OPEN
        assert breaker.settings.failure_threshold == 5  # the default
        await anyio.sleep(4.9)
        with pytest.raises(CircuitOpen):
            await fail()
        await anyio.sleep(0.2)
        with pytest.raises(ConnectionError):
            await fail()
        assert engine.part(Timeout).seconds == 2.0
        assert file.policy("engine") is engine

    run(main)


def test_calls_in_progress_are_unaffected(file: File, run: Run) -> None:
    file.registry.load(file.path)
    engine = file.policy("engine")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(engine.call, anyio.sleep, 4.0)
            await anyio.sleep(1.0)
            file.change("seconds = 5", "seconds = 2")
        assert engine.part(CircuitBreaker).snapshot().success == 1
        with pytest.raises(TimeoutError):
            await engine.call(anyio.sleep, 4.0)

    run(main)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("delay = 1", "delay = 2", "policies.store[0].delay cannot be changed while Hedge runs"),
        ("seconds = 3", "seconds = 0", "policies.store[1].seconds must be a number of seconds above 0, not 0"),
        (HEDGE, 'part = "Drain"', "policies.store: the parts of a policy cannot be changed while it runs: "),
        ("[[policies.store]]", "[[policies.other]]", "policies.store cannot be removed"),
        ('[budgets.shared]\nratio = 0.5', "", "policies.engine[1].budget names no budget of the file"),
        ("delay = 1", "delay = ", "it is no TOML"),
        (BUDGET, f"{BUDGET}\nidempotency_key = true", "policies.engine[1].idempotency_key cannot be changed while"),
        ("failure_threshold = 2", "probe_timeout = 1", "policies.engine: probe_timeout of circuit breaker"),
    ],
)  # fmt: skip
def test_a_bad_file_changes_nothing(file: File, old: str, new: str, problem: str) -> None:
    file.registry.load(file.path)
    before = [file.policy(name).explain() for name in ("engine", "store")]
    # The first policy and the budget are changed too, and nothing of that may be applied.
    changed = FILE.replace("max_attempts = 2", "max_attempts = 3").replace(
        "ratio = 0.5", "ratio = 0.5\nfloor_per_second = 9"
    )
    file.path.write_text(changed)
    problems = file.refused(lambda: file.change(old, new))
    assert any(each.startswith(problem) for each in problems), problems
    assert [file.policy(name).explain() for name in ("engine", "store")] == before
    budget = file.policy("engine").part(Retry).budget
    assert budget is not None
    assert budget.snapshot().capacity == 30.0
    assert sorted(file.registry) == ["engine", "store"]
    file.path.write_text(changed)
    assert file.registry.reload(file.path) == ("budgets.shared.floor_per_second", "policies.engine[1].max_attempts")
    assert file.policy("engine").part(Retry).settings.max_attempts == 3
    assert budget.snapshot().capacity == 90.0


def test_the_file_wins_over_what_was_changed_by_hand(file: File) -> None:
    file.registry.load(file.path)
    file.registry.reconfigure("engine", max_attempts=7)
    assert file.registry.reload(file.path) == ()
    assert file.policy("engine").part(Retry).settings.max_attempts == 2


def test_a_reload_adds_new_policies_and_budgets(file: File) -> None:
    policies = file.registry.load(file.path)
    call = file.registry.policy("new")(lambda: 1)
    added = '[budgets.more]\n[[policies.new]]\npart = "Retry"\nbudget = "more"\n'
    file.path.write_text(added + FILE)
    assert file.registry.reload(file.path) == ("budgets.more", "policies.new")
    assert "new" in policies
    assert call() == 1
    assert file.refused(lambda: file.change("[[policies.new]]", "[[policies.newer]]")) == [
        "policies.new cannot be removed while functions may use it: it stays until a restart"
    ]


def test_a_load_that_fails_creates_nothing(file: File) -> None:
    taken = Policy("taken by code", Timeout(1.0))
    file.registry.add("store", taken)
    assert file.refused(lambda: file.registry.load(file.path)) == [
        "policies.store: the registry has an entry of that name already"
    ]
    assert sorted(file.registry) == ["store"]
    file.path.write_text(FILE.replace("failure_threshold = 2", "probe_timeout = 1"))
    other = Registry()
    (problem,) = file.refused(lambda: other.load(file.path))
    assert problem.startswith("policies.engine: probe_timeout of circuit breaker engine circuit must be above")
    assert sorted(other) == []


def test_a_load_that_cannot_guard_what_waits_changes_nothing(file: File) -> None:
    waiting = file.registry.policy("store")(lambda: 1)
    assert file.refused(lambda: file.registry.load(file.path)) == [
        "policies.store: hedge: a hedge guards awaited calls only, as nothing can cancel the slower thread"
    ]
    assert (sorted(file.registry), file.registry.missing()) == ([], ["store"])
    assert waiting is not None
    file.path.write_text(FILE.replace('part = "Hedge"\ndelay = 1', 'part = "Drain"'))
    file.registry.load(file.path)
    assert waiting() == 1


def test_a_file_that_was_not_loaded_or_is_missing_cannot_be_reloaded(file: File) -> None:
    assert file.refused(lambda: file.registry.reload(file.path)) == ["it is not loaded: load it first"]
    file.registry.load(file.path)
    file.path.unlink()
    with pytest.raises(FileNotFoundError):
        file.registry.reload(file.path)
