import pytest

from services.config.body_pace import BodyPace


@pytest.mark.parametrize(
    ("rate", "seconds", "fewest"), [(1024, 15.0, 15_360.0), (1, 0.5, 1.0), (0, 15.0, 1.0), (10, 0.25, 2.5)]
)
def test_a_window_needs_its_share_of_the_rate_and_at_least_one_byte(rate: int, seconds: float, fewest: float) -> None:
    assert BodyPace(bytes_per_second=rate, window_seconds=seconds).window_bytes == fewest
