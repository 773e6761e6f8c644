import pytest

from cqox.analysis.workers.limits import ProcessLimits


@pytest.mark.parametrize(
    "limits",
    [ProcessLimits(), ProcessLimits(memory_bytes=2**40, cpu_seconds=7, file_bytes=1), ProcessLimits(still_seconds=9)],
)
def test_limits_survive_the_way_through_an_argument(limits: ProcessLimits) -> None:
    argument = limits.to_argument()
    assert " " not in argument
    assert ProcessLimits.from_argument(argument) == limits


def test_the_order_of_the_argument_is_memory_time_files_and_stillness() -> None:
    limits = ProcessLimits(memory_bytes=1, cpu_seconds=2, file_bytes=3, still_seconds=4)
    assert ProcessLimits.from_argument("1,2,3,4") == limits


@pytest.mark.parametrize("word", ["", "1,2,3", "1,2,3,4,5", "1,2,3,x"])
def test_an_argument_of_another_form_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|unpack"):
        ProcessLimits.from_argument(word)
