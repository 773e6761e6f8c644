"""Load shedding: least critical first, probes never."""

import math

import anyio
import pytest

from cqox import errors
from cqox.resilience.limits.load_shedding import DEFAULT_SHARES, Shed
from cqox.resilience.pipeline.permit import NO_RESULT
from cqox.resilience.runtime.criticality import Criticality, criticality

LEVELS = list(DEFAULT_SHARES)


def lets_in(shed: Shed, level: Criticality) -> bool:
    with criticality(level):
        try:
            shed.admit(None).succeed(NO_RESULT)
        except errors.Shed:
            return False
    return True


def fill(shed: Shed, calls: int) -> None:
    with criticality(Criticality.PROBE):
        for _ in range(calls):
            shed.admit(None)


@pytest.mark.parametrize(
    ("running", "admitted"),
    [
        (0, LEVELS),
        (59, LEVELS),
        (60, LEVELS[1:]),
        (74, LEVELS[1:]),
        (75, LEVELS[2:]),
        (90, LEVELS[3:]),
        (99, LEVELS[3:]),
        (100, []),
        (1000, []),
    ],
)
def test_the_least_critical_go_first(running: int, admitted: list[Criticality]) -> None:
    shed = Shed(100)
    fill(shed, running)
    assert [level for level in LEVELS if lets_in(shed, level)] == admitted


@pytest.mark.parametrize("load", [0.0, 1.0, 100.0, math.inf, math.nan])
def test_a_probe_is_never_refused(load: float) -> None:
    assert lets_in(Shed(1, load=lambda: load), Criticality.PROBE)


def test_a_load_that_is_no_number_refuses_all_but_probes() -> None:
    assert not lets_in(Shed(1, load=lambda: math.nan), Criticality.CRITICAL_PLUS)


def test_the_load_may_be_measured_instead_of_counted() -> None:
    load = 0.7
    shed = Shed(1, load=lambda: load)
    assert [level for level in LEVELS if lets_in(shed, level)] == LEVELS[1:]
    load = 0.1
    assert [level for level in LEVELS if lets_in(shed, level)] == LEVELS


def test_a_refusal_is_fresh_names_the_part_and_says_when_to_come_back() -> None:
    shed = Shed(1, name="gateway", retry_after=2.5)
    fill(shed, 1)
    rejections = []
    for _ in range(2):
        with pytest.raises(errors.Shed, match="Shed for gateway") as caught:
            shed.admit(None)
        rejections.append(caught.value)
    assert rejections[0] is not rejections[1]
    assert rejections[0].retry_after == 2.5
    assert rejections[0].__context__ is None


def test_without_a_word_about_it_a_call_is_critical() -> None:
    shed = Shed(10)
    fill(shed, 9)
    with pytest.raises(errors.Shed):
        shed.admit(None)
    assert shed.snapshot().rejected[Criticality.CRITICAL] == 1


def test_an_invalid_load_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"load must be callable, not 0\.7"):
        Shed(1, load=0.7)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()])
def test_a_call_counts_until_it_ends_however_it_ends(error: BaseException) -> None:
    shed = Shed(10)
    permit = shed.admit(None)
    assert shed.snapshot().running == 1
    permit.fail(error)
    assert shed.snapshot().running == 0


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_no_longer_counts() -> None:
    shed = Shed(10)
    with anyio.CancelScope() as scope:
        async with shed:
            assert shed.snapshot().load == 0.1
            scope.cancel()
            await anyio.sleep_forever()
    assert shed.snapshot().running == 0


def test_a_level_that_is_left_out_has_the_share_of_the_next_above() -> None:
    shed = Shed(100, shares={Criticality.CRITICAL: 0.5})
    fill(shed, 50)
    assert [level for level in LEVELS if lets_in(shed, level)] == [Criticality.CRITICAL_PLUS]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"capacity": 0}, "capacity must be an integer of at least 1, not 0"),
        ({"capacity": 1, "retry_after": -1.0}, "retry_after must be a number of seconds at least 0"),
        (
            {"capacity": 1, "shares": {"sheddable": 0.1}},
            r"shares must map some of the levels SHEDDABLE, .* of Criticality to a share, not \{'sheddable': 0.1\}",
        ),
        ({"capacity": 1, "shares": 0.5}, "shares must map .* to a share, not 0.5"),
        (
            {"capacity": 1, "shares": {Criticality.SHEDDABLE: 0.0}},
            r"shares\[sheddable\] must be a share above 0 and at most 1, not 0.0",
        ),
        (
            {"capacity": 1, "shares": {Criticality.SHEDDABLE: 0.9, Criticality.CRITICAL: 0.5}},
            r"shares\[sheddable\] must be at most that of the level above, 0.5, not 0.9",
        ),
    ],
)
def test_nonsense_settings_are_refused_with_value_and_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shed(**settings)  # type: ignore[arg-type]


def test_other_settings_hold_from_now_on_and_running_calls_still_count() -> None:
    shed = Shed(10)
    fill(shed, 9)
    shed.reconfigure(capacity=100)
    assert lets_in(shed, Criticality.SHEDDABLE)
    shed.reconfigure(shares={Criticality.SHEDDABLE: 0.05})
    assert not lets_in(shed, Criticality.SHEDDABLE)
    with pytest.raises(ValueError, match="capacity must be"):
        shed.reconfigure(capacity=0)
    assert shed.snapshot().running == 9
