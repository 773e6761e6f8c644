"""Promises and their check; the runner's tests break each of them."""

import httpx
import pytest

from cqox.chaos.experiments.acknowledged import Acknowledged, numbers_of, rows_with
from tests.chaos.experiments.scripted import Scripted


def test_numbers_of_a_report_are_status_value_and_standard_error() -> None:
    assert numbers_of(Scripted()._report(3)) == {"difference_in_means": ("ok", 3, 1.0)}


def test_a_report_is_acknowledged_only_where_it_is_stored() -> None:
    found = Acknowledged()
    report = Scripted()._report(3)
    assert found.report(3, report | {"provenance": {"stored": False}})
    assert found.reports == {}
    assert found.report(3, report)
    assert found.reports == {"a-3": 3}
    assert not found.report(3, Scripted(asked=7, lies=frozenset({"other-numbers"}))._report(3))
    assert len(found.violations) == 1


def test_a_key_has_one_job() -> None:
    found = Acknowledged()
    assert found.job(1, "key", "a")
    assert found.job(1, "key", "a")
    assert not found.job(1, "key", "b")
    assert found.jobs == {"a": 1, "b": 1}


@pytest.mark.trio
async def test_everything_that_is_there_is_no_violation_and_jobs_are_counted_by_their_end() -> None:
    system = Scripted()
    found = Acknowledged()
    found.report(3, system._report(3))
    system.jobs["a"] = 3
    found.job(3, "key", "a")
    await found.verify(system.client, patience=30)
    assert found.violations == []
    assert found.ends == {"succeeded": 1}


@pytest.mark.trio
async def test_a_report_that_no_answer_brings_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    monkeypatch.setattr("cqox.chaos.experiments.acknowledged._PAUSE_SECONDS", 0.001)
    found = Acknowledged(reports={"a-1": 1})
    await found.verify(httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://x"), patience=1)
    assert found.violations == ["analysis a-1 was acknowledged as stored and cannot be read: no answer"]


def test_the_arms_of_an_upload_differ_by_its_effect() -> None:
    head, *rows = rows_with(7).decode().split()
    assert head == "id,w,y"
    parts = [[int(each) for each in row.split(",")] for row in rows]
    means = [sum(y for _, w, y in parts if w == arm) / 20 for arm in (0, 1)]
    assert means[1] - means[0] == 7.0


@pytest.mark.trio
@pytest.mark.parametrize(
    ("lie", "said"),
    [("", ""), ("lose-uploads", "was acknowledged and cannot be analysed: 404"), ("other-effect", "another effect")],
)
async def test_an_upload_that_was_acknowledged_is_analysed_and_has_its_effect(lie: str, said: str) -> None:
    system = Scripted(lies=frozenset({lie}))
    system.uploads["d-0"] = rows_with(3)
    found = Acknowledged(uploads={"d-0": 3})
    await found.verify(system.client, patience=5)
    assert len(found.violations) == bool(lie)
    assert all(said in each for each in found.violations)
