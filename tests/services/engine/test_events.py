import json
from collections.abc import Sequence

import pytest
from quart import Response

from cqox.analysis.jobs import Ending, Job
from cqox.errors import InvalidRequest
from services.engine.events import event_stream, last_seen
from tests.services.http.request.test_language import asked
from tests.waiting import PATIENCE_SECONDS


@pytest.mark.parametrize(("header", "number"), [(None, 0), ("", 0), ("7", 7), ("007", 7), ("0" * 5_000 + "7", 7)])
def test_the_last_event_is_a_number(header: str | None, number: int) -> None:
    assert last_seen(header) == number


def test_a_number_of_any_length_is_one_beyond_all_events() -> None:
    assert last_seen("9" * 5_000) >= 10**18


@pytest.mark.parametrize("header", ["-1", "x", "1.5", "９"])
def test_what_is_no_number_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="Last-Event-ID"):
        last_seen(header)


async def body_of(answer: Response) -> str:
    async with answer.response as body:  # type: ignore[union-attr]
        return b"".join([part async for part in body]).decode()  # type: ignore[misc]


def ended(steps: Sequence[str]) -> Job:
    job = Job("d", "j")
    for step in steps:
        job.add_step({"step": step})
    job._end(Ending(state="succeeded", finished_at="now"), {"analysis_id": "a"})
    return job


@pytest.mark.trio
async def test_a_client_that_has_seen_more_than_there_is_gets_what_comes() -> None:
    import trio

    job = Job("d", "j")
    job.add_step({"step": "read"})
    answers: list[str] = []

    async def listen() -> None:
        answers.append(await body_of(event_stream(job, asked(), after=10**18)))

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await trio.testing.wait_all_tasks_blocked()
            job.add_step({"step": "plan"})
            job._end(Ending(state="succeeded", finished_at="now"), {"analysis_id": "a"})
    assert "read" not in answers[0]
    assert "id: 2\nevent: step" in answers[0]
    assert "id: 3\nevent: succeeded" in answers[0]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("language", "label"), [("en", "Difference in means (unadjusted)"), ("ja", "平均の差（調整なし）")]
)
async def test_an_estimate_has_its_label_in_the_language_of_the_request(language: str, label: str) -> None:
    job = Job("d", "j")
    numbers = {"estimate": 2.0, "ci_lower": 1.0, "ci_upper": 3.0, "p_value": 0.01}
    result = {
        "name": "difference_in_means", "family": "regression", "estimand": "ATE", "contrast": None, "status": "ok",
        **numbers, "done": 1, "planned": 2,
    }  # fmt: skip
    job.add_step({"step": "estimate.difference_in_means", "status": "ok", "result": result})
    job._end(Ending(state="succeeded", finished_at="now"), {"analysis_id": "a"})
    text = await body_of(event_stream(job, asked(f"lang={language}".encode())))
    step, estimate, _ = text.strip().split("\n\n")
    assert step == 'id: 1\nevent: step\ndata: {"step":"estimate.difference_in_means","status":"ok"}'
    assert estimate.startswith("id: 2\nevent: estimate\ndata: ")
    body = json.loads(estimate.partition("data: ")[2])
    assert body == {**result, "label": body["label"]}
    assert body["label"] == label


@pytest.mark.trio
async def test_a_client_that_has_seen_all_events_gets_none_and_any_other_gets_the_rest() -> None:
    assert await body_of(event_stream(ended(["read"]), asked(), after=99)) == ""
    assert (await body_of(event_stream(ended(["read"]), asked(), after=1))).startswith("id: 2\nevent: succeeded")
