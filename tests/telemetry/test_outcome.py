import asyncio

import pytest
import trio

from cqox.errors import InvalidRequest, NotFound, StoreUnavailable
from cqox.telemetry.outcome import Outcome, error_type, outcome_of

LEFT = asyncio.CancelledError()
WRONG = InvalidRequest("wrong")
BROKEN = ValueError("broken")


def group(*errors: BaseException) -> BaseException:
    return BaseExceptionGroup("several", errors)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.SUCCEEDED),
        (BROKEN, Outcome.FAILED), (StoreUnavailable("away"), Outcome.FAILED),
        (WRONG, Outcome.REFUSED), (NotFound("none"), Outcome.REFUSED),
        (LEFT, Outcome.CANCELLED), (KeyboardInterrupt(), Outcome.CANCELLED), (SystemExit(1), Outcome.CANCELLED),
        (GeneratorExit(), Outcome.CANCELLED),
        (group(LEFT), Outcome.CANCELLED), (group(LEFT, LEFT), Outcome.CANCELLED),
        (group(WRONG), Outcome.REFUSED), (group(LEFT, WRONG), Outcome.REFUSED),
        (group(LEFT, BROKEN), Outcome.FAILED), (group(WRONG, BROKEN), Outcome.FAILED),
        (group(LEFT, group(WRONG, group(LEFT))), Outcome.REFUSED), (group(LEFT, group(BROKEN)), Outcome.FAILED),
    ],
)  # fmt: skip
def test_a_failure_outweighs_invalid_input_and_that_a_cancellation(
    error: BaseException | None, outcome: Outcome
) -> None:
    assert outcome_of(error) is outcome


def test_a_cancellation_of_trio_is_one_too() -> None:
    caught: list[BaseException] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep_forever()
            except BaseException as error:
                caught.append(error)
                raise

    trio.run(main)
    assert outcome_of(caught[0]) is Outcome.CANCELLED


class Outer:
    class Inner(Exception):
        pass


def test_the_type_of_a_group_is_that_of_its_first_leaf() -> None:
    assert error_type(BROKEN) == "ValueError"
    assert error_type(Outer.Inner()) == "Outer.Inner"
    assert error_type(group(group(WRONG, BROKEN), BROKEN)) == "InvalidRequest"
