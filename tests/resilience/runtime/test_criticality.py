"""Levels: their order, their spelling, and the scope in which one is in force."""

import anyio
import pytest

from cqox.resilience.runtime.criticality import Criticality, criticality, current_criticality
from cqox.tasks import open_task_group


def test_the_levels_are_ordered_from_what_goes_first_to_what_never_goes() -> None:
    assert [level.label for level in sorted(Criticality)] == [
        "sheddable",
        "sheddable-plus",
        "critical",
        "critical-plus",
        "probe",
    ]


@pytest.mark.parametrize("spelling", ["sheddable-plus", " Sheddable-Plus ", "SHEDDABLE_PLUS"])
def test_a_level_is_read_in_any_case(spelling: str) -> None:
    assert Criticality.from_label(spelling) is Criticality.SHEDDABLE_PLUS


@pytest.mark.parametrize("spelling", ["", "high", "2", "probe", "PROBE"])
def test_unknown_levels_and_probe_are_not_parsed(spelling: str) -> None:
    assert Criticality.from_label(spelling) is None


def test_a_level_holds_inside_its_block_only_and_the_innermost_wins() -> None:
    assert current_criticality() is Criticality.CRITICAL
    with criticality(Criticality.SHEDDABLE):
        with criticality(Criticality.CRITICAL_PLUS):
            assert current_criticality() is Criticality.CRITICAL_PLUS
        assert current_criticality() is Criticality.SHEDDABLE
    assert current_criticality() is Criticality.CRITICAL


@pytest.mark.parametrize("level", ["sheddable", 7, None])
def test_what_is_no_level_is_refused_before_it_is_in_force(level: object) -> None:
    with pytest.raises(ValueError, match=f"level must be one of Criticality, SHEDDABLE, .*, not {level!r}"):
        with criticality(level):
            pytest.fail("the block must not run")


@pytest.mark.anyio
async def test_a_task_has_the_level_in_force_where_its_group_was_opened() -> None:
    found: list[Criticality] = []

    async def job() -> None:
        await anyio.lowlevel.checkpoint()
        found.append(current_criticality())

    async with open_task_group() as app:
        with criticality(Criticality.SHEDDABLE):
            app.start_soon(job)
            async with open_task_group() as request:
                request.start_soon(job)
    assert sorted(found) == [Criticality.SHEDDABLE, Criticality.CRITICAL]
