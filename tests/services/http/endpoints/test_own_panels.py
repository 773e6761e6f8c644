"""Panels from the memory of a process."""

import pytest

from cqox.dashboards import Match, Span
from cqox.dashboards.history import History, Sample
from cqox.dashboards.operations import OPERATIONS
from services.http.endpoints.dashboards import Asked
from services.http.endpoints.own_panels import OwnPanels


def remembered() -> History:
    history = History()
    for number in range(30):
        labels = {"job": "cqox-engine", "instance": "here:1"}
        history.add(
            1000.0 + 10 * number,
            [Sample("up", labels, 1.0), Sample("cqox_uploads_received_bytes_total", labels, 50.0 * number)],
        )
    return history


def asked(panel: str, **where: str) -> Asked:
    conditions = tuple(Match(label=label, how="=", value=value) for label, value in where.items())
    span = Span(start=1200.0, end=1290.0, step=10.0)
    return Asked(panel=OPERATIONS.panel(panel), span=span, where=conditions, language="en")


@pytest.mark.trio
async def test_a_panel_has_the_values_of_this_process_and_says_that_it_is_one() -> None:
    answer = await OwnPanels(remembered()).answer(asked("uploaded"))
    [line] = answer.lines
    assert line.name == "here:1"
    assert [value for _, value in line.points] == pytest.approx([5.0] * 10)
    assert [note.code for note in answer.notes] == ["dashboards.of-this-process"]


@pytest.mark.trio
async def test_another_process_is_chosen_by_its_labels() -> None:
    panels = OwnPanels(remembered())
    assert (await panels.answer(asked("answering", instance="here:1"))).lines
    nothing = await panels.answer(asked("answering", instance="there:1"))
    assert nothing.lines == ()
    assert nothing.reason is not None


@pytest.mark.trio
async def test_terms_are_those_of_every_query() -> None:
    terms = await OwnPanels(remembered()).terms(asked("failing"))
    assert [len(each) for each in terms] == [2]
