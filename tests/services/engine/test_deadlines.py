import pytest

from services.engine.deadlines import AnalysisTimeUp, JobTimeUp
from services.http.response.problems import kind_of


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.7, "The request asked for no more"), (120.0, "No request is granted more")]
)
def test_the_end_of_a_deadline_says_how_more_time_can_be_had(seconds: float, words: str) -> None:
    error = AnalysisTimeUp(seconds, most=120.0)
    assert str(error).startswith(f"The deadline of {seconds:g} s has passed. {words}: X-Request-Timeout-Ms may say up")
    assert "120000" in str(error)
    assert "respond-async" in str(error)
    assert (kind_of(error).status, error.seconds) == (504, seconds)


def test_a_job_says_what_bounds_it() -> None:
    assert "CQOX_JOB_SECONDS" in str(JobTimeUp(3600.0))
    assert kind_of(JobTimeUp(3600.0)).type == "deadline-exceeded"
