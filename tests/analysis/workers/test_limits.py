import pytest

from cqox.analysis.workers.limits import ProcessLimits


@pytest.mark.parametrize(
    "limits",
    [ProcessLimits(), ProcessLimits(memory_bytes=2**40, cpu_seconds=7, file_bytes=1), ProcessLimits(file_bytes=2**63)],
)
def test_limits_survive_the_way_through_an_argument(limits: ProcessLimits) -> None:
    argument = limits.to_argument()
    assert " " not in argument
    assert ProcessLimits.from_argument(argument) == limits


def test_the_order_of_the_argument_is_memory_time_and_files() -> None:
    assert ProcessLimits.from_argument("1,2,3") == ProcessLimits(memory_bytes=1, cpu_seconds=2, file_bytes=3)


@pytest.mark.parametrize("word", ["", "1,2", "1,2,3,4", "1,2,x"])
def test_an_argument_of_another_form_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|unpack"):
        ProcessLimits.from_argument(word)
