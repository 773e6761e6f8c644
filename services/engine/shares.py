"""Handlers of share links, and of what their tokens open: one report each, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from quart import Response

from cqox import telemetry
from cqox.analysis.key import digest
from cqox.analysis.shares import no_shared_report
from cqox.analysis.tenant import TenantAnalyses
from cqox.contract import ShareRequest, parse_model
from cqox.errors import NotFound
from cqox.storage import Share
from services.engine.answers import document_answer, figure_answer, json_answer, no_content, report_answer
from services.engine.history import annotation_answer
from services.engine.keys import held_key
from services.engine.pages import query_of
from services.engine.state import State
from services.engine.tenancy import mine
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.request import current_request
from services.http.security.audited import note

__all__ = ["handlers"]

_PAGE = "/s#"
"""Path of the page that reads a shared report. No browser sends the fragment after it to a server."""

_ID_CHARACTERS = 16


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on share links, by name."""

    async def create_share(analysis_id: str) -> Response:
        query_of("create_share")
        settings, request = state.settings, current_request()
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        days = parse_model(ShareRequest, body).days
        key = await held_key(state, request, ["share", analysis_id, body])
        # A gateway repeats its key with each attempt, which then leaves one link.
        share_id = None if key is None else digest(f"{analysis_id}\n{key}".encode())[:_ID_CHARACTERS]
        made = await mine(state).shares.create(analysis_id, days=days, share_id=share_id)
        secret = {"token": made.token, "path": _PAGE + made.token}
        return json_answer(_described(made.share) | secret, HTTPStatus.CREATED)

    async def list_shares(analysis_id: str) -> Response:
        query_of("list_shares")
        shares = mine(state).shares
        found = [_described(share) for share in await shares.of(analysis_id)]
        return json_answer({"shares": found, "allowed": bool(shares.most_days), "most_days": shares.most_days})

    async def delete_share(analysis_id: str, share_id: str) -> Response:
        query_of("delete_share")
        await mine(state).shares.revoke(analysis_id, share_id)
        return no_content()

    async def read_shared() -> Response:
        query_of("read_shared")
        with _one_answer():
            context = telemetry.current()
            trace_id = None if context is None else context.trace_id
            analyses, key = await _opened(state)
            return report_answer(await analyses.read(key, trace_id=trace_id))

    async def read_shared_annotation() -> Response:
        query_of("read_shared_annotation")
        with _one_answer():
            analyses, key = await _opened(state)
            return annotation_answer(await analyses.history.annotation(key))

    async def read_shared_figure(name: str, suffix: str) -> Response:
        with _one_answer():
            (analyses, key), language = await _opened(state), current_request().language
            content = await analyses.figure(key, name, suffix, language=language)
        answer = figure_answer(content, suffix)
        # Unlike the figures of those who may read every report: the link may be withdrawn.
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def export_shared(suffix: str) -> Response:
        with _one_answer():
            (analyses, key), language = await _opened(state), current_request().language
            content = await analyses.export(key, suffix, language=language)
        return document_answer(content, key, suffix)

    return {
        "create_share": create_share,
        "list_shares": list_shares,
        "delete_share": delete_share,
        "read_shared": read_shared,
        "read_shared_annotation": read_shared_annotation,
        "read_shared_figure": read_shared_figure,
        "export_shared": export_shared,
    }


async def _opened(state: State) -> tuple[TenantAnalyses, str]:
    # A repeated field is joined to what is no token.
    scope = current_request().scope
    analyses, key = await state.analyses.open_share(", ".join(current_request().headers.getlist("Share-Token")))
    # The holder of the link is nobody known: the log of its tenant says that it was used.
    note(scope, kind="analysis", identity=key, tenant=analyses.tenant_id, subject="share-link")
    return analyses, key


@contextmanager
def _one_answer() -> Iterator[None]:
    """Answer a report that is deleted at this moment as a token that opens nothing."""
    try:
        yield
    except NotFound as error:
        if error.field == "analysis_id":
            raise no_shared_report() from None
        raise


def _described(share: Share) -> dict[str, object]:
    return {"share_id": share.share_id, "created_at": share.created_at, "expires_at": share.expires_at}
