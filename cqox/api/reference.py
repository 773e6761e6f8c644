"""The catalog of estimators and the meaning of verdicts, gates and assumptions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cqox.api.portal import OnStep
from cqox.api.session import Session, default_session
from cqox.contract import Catalog, Definition, Definitions, EstimatorDescription
from cqox.contract.messages import LANGUAGES, Language, translate_document

if TYPE_CHECKING:
    from cqox.analysis.local import LocalAnalyses

__all__ = ["catalog", "definitions"]


def catalog(*, session: Session | None = None) -> Sequence[EstimatorDescription]:
    """Return every estimator: what it needs, its estimand, standard errors, paper, and what it is checked against."""

    async def work(analyses: "LocalAnalyses", on_step: OnStep) -> Sequence[EstimatorDescription]:
        body, _ = await analyses.run("catalog", {})
        return Catalog.model_validate(body).estimators

    return (session or default_session()).start(work).wait()


def definitions(*, language: Language = LANGUAGES[0], session: Session | None = None) -> Sequence[Definition]:
    """Return what every verdict, gate and assumption means, with thresholds and sources."""

    async def work(analyses: "LocalAnalyses", on_step: OnStep) -> Sequence[Definition]:
        body, _ = await analyses.run("definitions", {})
        document = dict(body)
        if language != LANGUAGES[0]:
            translate_document(document, document["messages"], language)  # type: ignore[arg-type]
        return Definitions.model_validate(document).definitions

    return (session or default_session()).start(work).wait()
