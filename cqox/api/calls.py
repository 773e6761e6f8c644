"""`cqox.analyze`: a data frame or a file in, a report out."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Unpack

from cqox.api.keywords import Keywords
from cqox.api.portal import Call, OnStep
from cqox.api.progress import Progress, shown
from cqox.api.session import Session, chosen, dataset_of
from cqox.api.signatures import with_keywords
from cqox.contract.messages import LANGUAGES, Language

if TYPE_CHECKING:
    from pydantic import JsonValue

    from cqox.analysis.local import LocalAnalyses, LocalReport
    from cqox.api.report import Report
    from cqox.contract import Inference
    from cqox.frames import FrameKind

__all__ = [
    "EngineChoice",
    "analyze",
    "analyze_async",
    "analyze_request",
    "analyze_request_async",
    "roles",
    "roles_async",
]

type EngineChoice = Literal["auto", "memory", "duckdb"]
"""A choice of `options.engine`."""

type _Answered = tuple[LocalReport, FrameKind | None]


def analyze(
    data: object,
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    progress: Progress = None,
    session: Session | None = None,
    **keywords: Unpack[Keywords],
) -> "Report":
    """Answer a causal question from a data frame or a file.

    Every estimator that applies is run, its assumptions are checked, and the report says GO, CANARY or HOLD with the
    reasons. The computation runs in a worker process that stays warm; Ctrl-C ends it at once.

    Args:
        data: a pandas, polars or pyarrow frame, a DuckDB relation, any object with an Arrow stream, a mapping of
            column names to arrays, or the path of a file in any format that an upload may have, of a folder of Parquet
            or CSV files or a pattern such as `data/part-*.parquet`, or an address (`https://…`, `s3://bucket/visits/`).
            Files that are too large to be read are summed where they are, or where they have been copied, by DuckDB
            (`cqox[scale]`).
        read: how to read a file, such as `{"encoding": "cp932", "header_rows": 2}`.
        language: language of the sentences, `en` or `ja`.
        progress: whether to show progress; by default in a terminal and a notebook, once it takes half a second. A
            function is called with each step, a mapping with `step` and its data.
        session: whose worker computes; by default that of the process.
        **keywords: roles (`y="sales"`, `treatment="campaign"`, `covariates=["age"]`) and options
            (`assignment="randomized"`), by the names of the HTTP interface.

    Returns:
        The report: the same as `POST /api/analyze/comprehensive` gives for these data.

    Raises:
        InputError: data, a role or an option must be corrected; `choices` are valid values.
        WorkerLost: the worker process crashed.
    """
    mapping, options = _split(session, keywords)
    return analyze_request(data, mapping, options, read=read, language=language, progress=progress, session=session)


def analyze_request(
    data: object,
    mapping: "Mapping[str, JsonValue]",
    options: "Mapping[str, JsonValue]",
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    progress: Progress = None,
    session: Session | None = None,
) -> "Report":
    """Do the same as `analyze` for `mapping` and `options` as the HTTP interface takes them."""
    with shown(progress) as on_step:
        call, reading = _started(data, read, language, session, mapping, options)
        return reading(call.wait(on_step))


async def analyze_async(
    data: object,
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    progress: Progress = None,
    session: Session | None = None,
    **keywords: Unpack[Keywords],
) -> "Report":
    """Do the same as `analyze` in an event loop, of asyncio or Trio; a cancellation ends the computation."""
    mapping, options = _split(session, keywords)
    return await analyze_request_async(
        data, mapping, options, read=read, language=language, progress=progress, session=session
    )


async def analyze_request_async(
    data: object,
    mapping: "Mapping[str, JsonValue]",
    options: "Mapping[str, JsonValue]",
    *,
    read: Mapping[str, object] | None = None,
    language: Language = LANGUAGES[0],
    progress: Progress = None,
    session: Session | None = None,
) -> "Report":
    """Do the same as `analyze_request` in an event loop; a cancellation ends the computation."""
    with shown(progress) as on_step:
        call, reading = _started(data, read, language, session, mapping, options)
        return reading(await call.wait_async(on_step))


with_keywords(analyze, Keywords)
with_keywords(analyze_async, Keywords)


def roles(
    data: object,
    *,
    read: Mapping[str, object] | None = None,
    engine: "EngineChoice" = "auto",
    session: Session | None = None,
) -> "Inference":
    """Suggest which column plays which role, with reasons.

    Args:
        data: as in `analyze`; files that are too large to be read are summed where they are, and some of their rows
            are looked at, see `sample`.
        read: as in `analyze`.
        engine: as in `analyze`.
        session: as in `analyze`.

    Returns:
        The suggestion; `analyze(data, **roles(data).mapping)` uses it as it is.

    Raises:
        InputError: the data must be corrected.
    """
    return _roles_started(data, read, engine, session).wait()


async def roles_async(
    data: object,
    *,
    read: Mapping[str, object] | None = None,
    engine: "EngineChoice" = "auto",
    session: Session | None = None,
) -> "Inference":
    """Do the same as `roles` in an event loop."""
    return await _roles_started(data, read, engine, session).wait_async()


def _split(
    session: Session | None, keywords: Mapping[str, object]
) -> "tuple[Mapping[str, JsonValue], Mapping[str, JsonValue]]":
    # What checks the arguments takes a while to load, and the worker longer.
    chosen(session).begin()
    from cqox.api.arguments import split

    return split(keywords)


def _started(
    data: object,
    read: Mapping[str, object] | None,
    language: Language,
    session: Session | None,
    mapping: "Mapping[str, JsonValue]",
    options: "Mapping[str, JsonValue]",
) -> "tuple[Call[_Answered], Callable[[_Answered], Report]]":
    used = chosen(session)
    used.begin()
    from cqox.api.arguments import check_language, reading_options

    check_language(language)
    options_of_file = reading_options(read)

    async def work(analyses: "LocalAnalyses", on_step: OnStep) -> _Answered:
        try:
            record, kind = await dataset_of(
                analyses, data, options_of_file, mapping=mapping, options=options, progress=on_step
            )
            return await analyses.analyze(record, mapping=mapping, options=options, progress=on_step), kind
        finally:
            await analyses.remove_copies()

    def reading(found: _Answered) -> "Report":
        from cqox.api.report import Report
        from cqox.api.source import LocalSource

        report, kind = found
        source = LocalSource(used, document=report.body, specs=report.figures)
        return Report(json.loads(report.body), source, kind=kind, language=language)

    return used.start(work), reading


def _roles_started(
    data: object, read: Mapping[str, object] | None, engine: str, session: Session | None
) -> "Call[Inference]":
    used = chosen(session)
    used.begin()
    from cqox.api.arguments import reading_options
    from cqox.contract import Inference

    options_of_file = reading_options(read)

    async def work(analyses: "LocalAnalyses", on_step: OnStep) -> Inference:
        try:
            record, _ = await dataset_of(analyses, data, options_of_file, options={"engine": engine})
            return Inference.model_validate(await analyses.infer_roles(record))
        finally:
            await analyses.remove_copies()

    return used.start(work)
