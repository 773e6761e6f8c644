"""Handlers of analyses: computing one, stored reports, figures, and the catalog of estimators."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import trio
from quart import Response

from cqox import telemetry
from cqox.analysis.idempotency import job_id
from cqox.analysis.jobs import Job, Outcome
from cqox.analysis.mapping import by_names, categorical_columns, check_exact, check_mapping, check_remedies
from cqox.analysis.single_flight import OnStep
from cqox.contract import AnalyzeRequest, parse_model
from cqox.resilience.propagation.http import deadline_from_headers
from cqox.threads import run_in_thread
from services.engine.answers import document_answer, figure_answer, json_answer, no_content, report_answer
from services.engine.deadlines import AnalysisTimeUp, JobTimeUp
from services.engine.events import event_stream
from services.engine.in_place import check_permissions, within_deadline
from services.engine.jobs import described, record_of, recorded, remembered
from services.engine.keys import held_key, value_digest
from services.engine.pages import query_of
from services.engine.state import State
from services.engine.tenancy import mine, my_jobs, tenant_of
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.propagation import DEADLINE_OF, is_client_deadline
from services.http.request.request import current_request
from services.http.security.audited import note

__all__ = ["handlers"]


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on analyses, by name."""

    async def analyze() -> Response:
        request = current_request()
        settings = state.settings
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(AnalyzeRequest, body)
        note(request.scope, kind="dataset", identity=asked.dataset_id)
        check_permissions(request.scope, asked.source)
        key = await held_key(state, request, body, dataset_id=asked.dataset_id)
        if _prefers_async(request.headers.getlist("Prefer")):
            tenant_id = tenant_of(request.scope)
            return await _accepted(state, asked, None if key is None else job_id(key, value_digest(body), tenant_id))
        seconds = deadline_from_headers(request.call_fields, max_seconds=state.settings.analysis_seconds)
        time_up = AnalysisTimeUp(seconds, most=state.settings.analysis_seconds)
        by_client = is_client_deadline(request.call_fields, most=state.settings.analysis_seconds)
        # A gateway sends what is left of its own deadline too.
        by_client = by_client and request.headers.get(DEADLINE_OF) != "service"
        if seconds <= 0:
            request.client_deadline_passed = by_client
            raise time_up
        if request.wants_events:
            await _check(state, asked)
            made: list[bytes] = []
            job = my_jobs(state).start(asked.dataset_id, _work(state, asked, time_up, report=made))
            return event_stream(job, request, report=made, owned=True)
        with trio.move_on_after(seconds):
            report = await mine(state).analyze(asked, seconds=seconds, trace_id=_trace_id())
            return report_answer(report)
        request.client_deadline_passed = by_client
        raise time_up

    async def preview() -> Response:
        request, settings = current_request(), state.settings
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        asked = parse_model(AnalyzeRequest, body)
        note(request.scope, kind="dataset", identity=asked.dataset_id)
        if asked.source is None:
            return json_answer(await mine(state).previews.preview(asked))
        check_permissions(request.scope, asked.source)
        previews = mine(state).previews
        found = await within_deadline(
            request, settings.analysis_seconds, lambda seconds: previews.preview(asked, seconds=seconds)
        )
        return json_answer(found)

    async def read_analysis(analysis_id: str) -> Response:
        return report_answer(await mine(state).read(analysis_id, trace_id=_trace_id()))

    async def delete_analysis(analysis_id: str) -> Response:
        query_of("delete_analysis")
        await mine(state).retention.delete_report(analysis_id)
        return no_content()

    async def read_figure(analysis_id: str, name: str, suffix: str) -> Response:
        request = current_request()
        content = await mine(state).figure(analysis_id, name, suffix, language=request.language)
        answer = figure_answer(content, suffix)
        # An analysis id is derived from its content, so its figures never change.
        answer.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        if state.settings.authenticates:
            # Two people at one browser are two readers.
            answer.headers.add("Vary", "Authorization")
        return answer

    async def export_analysis(analysis_id: str, suffix: str) -> Response:
        request = current_request()
        content = await mine(state).export(analysis_id, suffix, language=request.language)
        return document_answer(content, analysis_id, suffix)

    async def list_estimators() -> Response:
        return json_answer(await state.analyses.catalog())

    async def list_definitions() -> Response:
        return json_answer(await state.analyses.definitions())

    return {
        "analyze": analyze,
        "preview": preview,
        "read_analysis": read_analysis,
        "delete_analysis": delete_analysis,
        "read_figure": read_figure,
        "export_analysis": export_analysis,
        "list_estimators": list_estimators,
        "list_definitions": list_definitions,
    }


async def _accepted(state: State, asked: AnalyzeRequest, wanted: str | None) -> Response:
    await _check(state, asked)
    # Of several requests with one key the first records the job, and the others find the record.
    async with mine(state).records.exclusive(wanted):
        description = await _existing(state, wanted) or await _started(state, asked, wanted)
    answer = json_answer(description, HTTPStatus.ACCEPTED)
    answer.headers["Location"] = f"/api/jobs/{description['job_id']}"
    answer.headers["Preference-Applied"] = "respond-async"
    return answer


async def _existing(state: State, wanted: str | None) -> dict[str, object] | None:
    """Return the job that this request has already started, unless it was interrupted."""
    if wanted is None:
        return None
    job = await remembered(mine(state), my_jobs(state), wanted)
    if job is not None:
        return None if job.state == "interrupted" else described(job, stored=not mine(state).records.is_waiting(wanted))
    # The stored record may still say that it runs; the end of the job waits to be recorded.
    if mine(state).records.is_waiting(wanted):
        return None
    # Another engine may run it or have run it, or this engine before a restart.
    known = await mine(state).known_job(wanted)
    return None if known is None else recorded(known)


async def _started(state: State, asked: AnalyzeRequest, wanted: str | None) -> dict[str, object]:
    """Record a job and start it.

    Raises:
        StoreUnavailable: the job could not be recorded, and was not started.
    """
    # Reject now rather than accept a job that would fail at once.
    mine(state).refuse_if_full()
    await mine(state).check_room()
    job = Job(asked.dataset_id, wanted)
    await mine(state).records.begin(record_of(job))
    # No checkpoint between recording and launching, so that every recorded job runs.
    my_jobs(state).launch(job, _work(state, asked, JobTimeUp(state.settings.job_seconds)))
    return described(job)


async def _check(state: State, asked: AnalyzeRequest) -> None:
    # Validate column names now, so that an invalid request is rejected and does not become a failed job.
    given, _ = asked.roles()
    if asked.source is not None:
        # The columns of a table in place are known to its source alone.
        mine(state).places.find(mine(state).tenant_id, asked.source, str(asked.table))
        return
    record = await mine(state).datasets.get(asked.dataset_id)

    def check() -> None:
        headers = {
            column["name"]: column["original_name"] or column["name"]
            for column in json.loads(record.description)["columns"]
        }
        roles, options = by_names(given, asked.options, headers)
        check_mapping(roles, list(headers))
        categorical_columns(options.categorical or (), roles, headers)
        check_exact(options, roles)
        check_remedies(options, list(headers))

    # In a thread: close matches among thousands of names take a while, which would block the event loop.
    await run_in_thread(check, limiter=state.names)


def _work(
    state: State, asked: AnalyzeRequest, time_up: AnalysisTimeUp | JobTimeUp, *, report: list[bytes] | None = None
) -> Callable[[OnStep], Awaitable[Outcome]]:
    # A job outlives the request, and stays that of its tenant.
    seconds, analyses = time_up.seconds, mine(state)

    async def work(progress: OnStep) -> Outcome:
        with trio.move_on_after(seconds):
            answer = await analyses.analyze(asked, seconds=seconds, progress=progress, trace_id=_trace_id())
            if report is not None:
                report.append(answer.body)
            return Outcome(analysis_id=answer.analysis_id)
        raise time_up

    return work


def _trace_id() -> str | None:
    context = telemetry.current()
    return None if context is None else context.trace_id


def _prefers_async(values: Sequence[str]) -> bool:
    return any(part.strip().lower() == "respond-async" for value in values for part in re.split("[,;]", value))
