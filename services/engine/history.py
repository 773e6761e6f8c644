"""Handlers of what people list and write about stored analyses."""

import re
from dataclasses import asdict

from quart import Response

from cqox.analysis.history import listed
from cqox.contract import MOST_TITLE, AnnotationChange, parse_model
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest
from cqox.storage import Annotation
from services.engine.answers import json_answer
from services.engine.pages import page_before, page_limit, query_of
from services.engine.state import State
from services.engine.tenancy import mine
from services.http.contract.registration import Handler
from services.http.request.bodies import read_json
from services.http.request.request import current_request

__all__ = ["annotation_answer", "handlers"]

_MOST_QUESTIONS = 200
_ETAG = re.compile(r'(?:^|,)[ \t]*"([^"]*)"[ \t]*(?=,|$)')


def handlers(state: State) -> dict[str, Handler]:
    """Return the handlers of the operations on the history, by name."""

    async def list_analyses() -> Response:
        query = query_of("list_analyses")
        page = await mine(state).history.summaries(
            dataset_id=query.get("dataset_id"),
            search=_search(query.get("search")),
            limit=page_limit(query.get("limit", "50")),
            before=page_before(query.get("before")),
        )
        return json_answer(listed(page.items) | {"next": page.next})

    async def count_looks(dataset_id: str) -> Response:
        query_of("count_looks")
        looks = await mine(state).history.looks(dataset_id)
        questions = [asdict(each) for each in looks[:_MOST_QUESTIONS]]
        count = sum(each.analyses for each in looks)
        return json_answer({"dataset_id": dataset_id, "analyses": count, "questions": questions})

    async def read_annotation(analysis_id: str) -> Response:
        query_of("read_annotation")
        return annotation_answer(await mine(state).history.annotation(analysis_id))

    async def annotate_analysis(analysis_id: str) -> Response:
        query_of("annotate_analysis")
        settings, request = state.settings, current_request()
        body = await read_json(request, max_bytes=settings.max_body_bytes, pace=settings.body_pace)
        changes = parse_model(AnnotationChange, body).changes()
        expected = _expected(request.headers.getlist("If-Match"))
        return annotation_answer(await mine(state).history.annotate(analysis_id, changes, expected=expected))

    return {
        "list_analyses": list_analyses,
        "count_looks": count_looks,
        "read_annotation": read_annotation,
        "annotate_analysis": annotate_analysis,
    }


def annotation_answer(annotation: Annotation) -> Response:
    """Return an annotation with its version as `ETag`."""
    answer = json_answer(
        {
            "analysis_id": annotation.analysis_id,
            "title": annotation.title,
            "notes": annotation.notes,
            "updated_at": annotation.updated_at or None,
        }
    )
    answer.headers["ETag"] = f'"{annotation.version}"'
    return answer


def _search(given: str | None) -> str | None:
    if given is not None and len(given) > MOST_TITLE:
        why = Message("request.takes-text-of-at-most", characters=MOST_TITLE)
        raise InvalidRequest(Message("request.unusable-field", field="search", why=why), field="search")
    return given


def _expected(values: list[str]) -> frozenset[str] | None:
    """Return the versions that `If-Match` names; None for any. Weak and malformed ones match no version."""
    given = ",".join(values).strip()
    return None if not values or given == "*" else frozenset(_ETAG.findall(given))
