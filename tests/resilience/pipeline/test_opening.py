"""Permits that outlive their call: kept by a stream or a context until it closes, settled innermost first."""

import anyio

from cqox.resilience import Policy, Retry
from cqox.resilience.pipeline.opening import Opened, opening_stage
from cqox.resilience.pipeline.part import Gate
from cqox.resilience.pipeline.permit import Permit
from cqox.resilience.pipeline.plan import Stage, plan
from tests.resilience.conftest import Down


class Ticket(Permit):
    def __init__(self, gate: "Named") -> None:
        self._gate = gate

    def succeed(self, value: object) -> None:
        self._gate.log.append((self._gate.name, str(value)))

    def fail(self, error: BaseException) -> None:
        self._gate.log.append((self._gate.name, type(error).__name__))


class Slot(Ticket):
    lasting = True


class Named(Gate):
    """A gate that logs how its permits are settled."""

    def __init__(self, name: str, log: list[tuple[str, str]], permit: type[Ticket] = Ticket) -> None:
        self.name = name
        self.log = log
        self._permit = permit

    def admit(self, deadline: object) -> Permit:
        return self._permit(self)


def test_a_context_keeps_lasting_permits_and_settles_the_others_at_once() -> None:
    log: list[tuple[str, str]] = []
    parts = (Named("outer", log, Slot), Named("middle", log), Named("inner", log, Slot))
    (stage,) = plan(parts, policy="p", function="f", asynchronous=False, bare=True)
    assert isinstance(stage, Stage)
    opened = Opened()
    for admission in reversed(opening_stage(stage).outer):
        permit = admission.admit(None)
        assert permit is not None
        permit.succeed(opened)
    assert log == [("middle", "NO_RESULT")]
    assert [permit._gate.name for permit in opened.kept] == ["outer", "inner"]


def test_a_stream_keeps_every_permit_and_settles_the_innermost_first(run) -> None:
    log: list[tuple[str, str]] = []
    parts = (Named("call", log), Retry(2, 0.0, idempotent=True), Named("attempt", log), Named("slot", log, Slot))
    starts = 0

    @Policy("p", *parts)
    async def items():
        nonlocal starts
        starts += 1
        if starts == 1:
            raise Down
        yield 1
        await anyio.sleep(1.0)
        yield 2

    async def main() -> None:
        assert [item async for item in items()] == [1, 2]

    run(main)
    assert log == [
        ("slot", "Down"),
        ("attempt", "Down"),
        ("slot", "NO_RESULT"),
        ("attempt", "NO_RESULT"),
        ("call", "NO_RESULT"),
    ]
