"""Previews of frames, by a real worker."""

import pytest

import cqox
from cqox.api.session import Session
from cqox.contract import Preview
from cqox.errors import InvalidRequest
from tests.api.conftest import trial

ROLES = {"y": "sales", "treatment": "campaign", "covariates": ["age"]}


def test_a_preview_takes_the_keywords_of_an_analysis_and_says_what_its_report_will(session: Session) -> None:
    found = cqox.preview(trial(), **ROLES, assignment="randomized", session=session)
    assert isinstance(found, Preview)
    report = cqox.analyze(trial(), **ROLES, assignment="randomized", session=session)
    (contrast,) = found.contrasts
    assert found.dataset_id == report.dataset_id
    assert contrast.primary == report.decision.primary
    assert contrast.rows.kept == report[str(contrast.primary)].n
    assert contrast.power.effect is not None


def test_sentences_are_in_the_language_asked_for(session: Session) -> None:
    assert "試験である" in cqox.preview(
        trial(), **ROLES, assignment="randomized", language="ja", session=session
    ).contrasts[0].statement  # fmt: skip


def test_a_wrong_column_is_refused_as_by_an_analysis(session: Session) -> None:
    with pytest.raises(InvalidRequest, match="sale"):
        cqox.preview(trial(), y="sale", treatment="campaign", session=session)


@pytest.mark.anyio
async def test_a_loop_can_wait_for_a_preview(session: Session) -> None:
    found = await cqox.preview_async(trial(), **ROLES, session=session)
    assert found == cqox.preview(trial(), **ROLES, session=session)
