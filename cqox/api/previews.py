"""`cqox.preview`: what an analysis would use and could find, before it estimates anything."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Unpack

from pydantic import JsonValue

from cqox.api.arguments import as_json, split
from cqox.api.keywords import Keywords
from cqox.api.portal import Call, OnStep
from cqox.api.session import Session, chosen, dataset_of
from cqox.api.signatures import with_keywords
from cqox.contract import Preview
from cqox.contract.messages import LANGUAGES, Language, translate_document

if TYPE_CHECKING:
    from cqox.analysis.local import LocalAnalyses

__all__ = ["preview", "preview_async"]


def preview(
    data: object,
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    session: Session | None = None,
    **keywords: Unpack[Keywords],
) -> Preview:
    """Say what `analyze` would do with the same arguments, in a fraction of its time.

    Rows that are used and why others are not, the arms, the design in words, the estimators that run, the smallest
    effect that data of this size detect, and the findings on the data. No effect is estimated. Of files that are
    summed where they are, it is of a sample of the rows, see `sample`.

    Args:
        data: as in `analyze`.
        read: as in `analyze`.
        language: as in `analyze`.
        session: as in `analyze`.
        **keywords: as in `analyze`.

    Returns:
        The preview: the same as `POST /api/analyze/preview` gives for these data.

    Raises:
        InputError: data, a role or an option must be corrected; `choices` are valid values.
        WorkerLost: the worker process crashed.
    """
    return _started(data, read, language, session, keywords).wait()


async def preview_async(
    data: object,
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    session: Session | None = None,
    **keywords: Unpack[Keywords],
) -> Preview:
    """Do the same as `preview` in an event loop, of asyncio or Trio; a cancellation ends the computation."""
    return await _started(data, read, language, session, keywords).wait_async()


with_keywords(preview, Keywords)
with_keywords(preview_async, Keywords)


def _started(
    data: object, read: Mapping[str, object] | None, language: Language, session: Session | None, keywords: Keywords
) -> Call[Preview]:
    used = chosen(session)
    used.begin()
    mapping, options = split(keywords)

    async def work(analyses: "LocalAnalyses", on_step: OnStep) -> Preview:
        try:
            record, _ = await dataset_of(analyses, data, as_json(read or {}), mapping=mapping, options=options)
            document: dict[str, JsonValue] = await analyses.preview(record, mapping=mapping, options=options)
        finally:
            await analyses.remove_copies()
        if language != LANGUAGES[0]:
            translate_document(document, document["messages"], language)  # type: ignore[arg-type]
        return Preview.model_validate(document)

    return used.start(work)
