"""Handlers of analyses, over stubs of the service and its stores."""

import hashlib
import json
from dataclasses import replace

import pytest

from cqox.analysis.answer import Answer
from cqox.analysis.idempotency import IdempotencyKeys
from cqox.contract import EXPORT_TYPES
from cqox.errors import BulkheadFull, NotFound
from cqox.telemetry import metric_definitions
from services.engine.analyses import handlers
from tests.measured import Measured
from tests.services.engine.handled import Records, Store, app_of, state_of
from tests.storage.bound import a_cache
from tests.storage.records import a_dataset, a_job

PATH = "/api/analyze/comprehensive"
ASKED = {"dataset_id": "0123", "mapping": {"y": "y", "treatment": "w"}}
COLUMNS = [{"name": "y", "original_name": None}, {"name": "w", "original_name": "W"}]


class Datasets:
    async def get(self, dataset_id: str):
        return replace(a_dataset(dataset_id), description=json.dumps({"columns": COLUMNS}).encode())


class Admission:
    is_full = False

    def refuse_if_full(self) -> None:
        if self.is_full:
            raise BulkheadFull("analyses")


class Service:
    """Answers every analysis with the same report."""

    def __init__(self) -> None:
        self.datasets, self.admission = Datasets(), Admission()
        self.store, self.records = Store(), Records()
        self.keys = IdempotencyKeys(a_cache())
        self.retention = self.previews = self
        self.deleted: list[str] = []
        self.languages: list[str] = []

    def within(self, tenant_id: str):
        return self

    def refuse_if_full(self) -> None:
        self.admission.refuse_if_full()

    async def analyze(self, asked, **_: object) -> Answer:
        body = b'{"verdict":"GO"}'
        return Answer(
            analysis_id="a", digest="d" * 64, body=body, sha256=hashlib.sha256(body).digest(), hit=False, stored=True
        )

    async def preview(self, asked, **_: object) -> dict[str, object]:
        return {"dataset_id": asked.dataset_id, "contrasts": []}

    async def read(self, analysis_id: str, *, trace_id: str | None) -> Answer:
        if analysis_id != "a":
            raise NotFound("There is no such report.")
        return await self.analyze(None)

    async def delete_report(self, analysis_id: str) -> None:
        self.deleted.append(analysis_id)

    async def figure(self, analysis_id: str, name: str, suffix: str, *, language: str) -> bytes:
        self.languages.append(language)
        return b"<svg/>"

    async def export(self, analysis_id: str, suffix: str, *, language: str) -> bytes:
        self.languages.append(language)
        return suffix.encode()

    async def catalog(self):
        return {"estimators": [{"name": "difference_in_means"}]}

    async def check_room(self) -> None:
        pass

    async def known_job(self, job_id: str):
        return await self.store.job(job_id)


@pytest.fixture
def state():
    made = state_of()
    made.analyses = Service()
    return made


async def asked(state, method: str, path: str, **given: object):
    answer = await app_of(handlers(state)).test_client().open(path, method=method, **given)
    body = await answer.get_data()
    return answer, json.loads(body) if body.startswith(b"{") else body


@pytest.mark.trio
async def test_an_analysis_is_answered_with_its_report_and_digest(state) -> None:
    answer, body = await asked(state, "POST", PATH, json=ASKED)
    assert (answer.status_code, body) == (200, {"verdict": "GO"})
    assert "Content-Digest" in answer.headers
    _, body = await asked(state, "GET", "/api/analyses/a")
    assert body == {"verdict": "GO"}
    answer, _ = await asked(state, "GET", "/api/analyses/b")
    assert answer.status_code == 404


@pytest.mark.trio
async def test_a_preview_takes_the_body_of_an_analysis(state) -> None:
    answer, body = await asked(state, "POST", "/api/analyze/preview", json=ASKED)
    assert (answer.status_code, body) == (200, {"dataset_id": "0123", "contrasts": []})
    answer, body = await asked(state, "POST", "/api/analyze/preview", json={**ASKED, "option": {}})
    assert (answer.status_code, body["type"]) == (400, "invalid-request")


@pytest.mark.trio
async def test_a_passed_deadline_computes_nothing(state) -> None:
    answer, body = await asked(state, "POST", PATH, json=ASKED, headers={"X-Request-Timeout-Ms": "0"})
    assert (answer.status_code, body["type"]) == (504, "deadline-exceeded")
    assert "X-Request-Timeout-Ms" in body["detail"]


@pytest.mark.trio
@pytest.mark.parametrize(("whose", "error"), [("", "ClientDeadline"), ("client", "ClientDeadline"), ("service", "504")])
async def test_a_deadline_that_a_client_chose_is_measured_as_its_own(
    state, measured: Measured, whose: str, error: str
) -> None:
    headers = {"X-Request-Timeout-Ms": "0"} | ({"X-Cqox-Deadline-Of": whose} if whose else {})
    await asked(state, "POST", PATH, json=ASKED, headers=headers)
    (labels,) = measured.of(metric_definitions.HTTP_SERVER_DURATION)
    assert (labels["http.response.status_code"], labels["error.type"]) == (504, error)


@pytest.mark.trio
@pytest.mark.parametrize("prefer", ["respond-async", "wait=5, Respond-Async", "respond-async; wait=5"])
async def test_a_job_is_recorded_before_it_is_accepted(state, prefer: str) -> None:
    answer, body = await asked(state, "POST", PATH, json=ASKED, headers={"Prefer": prefer})
    assert (answer.status_code, body["status"]) == (202, "running")
    assert answer.headers["Location"] == f"/api/jobs/{body['job_id']}"
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert [record.job_id for record in state.analyses.records.begun] == [body["job_id"]] == list(state.jobs)


@pytest.mark.trio
async def test_the_same_key_and_body_are_one_job_here_and_on_another_engine(state) -> None:
    headers = {"Prefer": "respond-async", "Idempotency-Key": "mine"}
    _, first = await asked(state, "POST", PATH, json=ASKED, headers=headers)
    _, again = await asked(state, "POST", PATH, json=ASKED, headers=headers)
    assert first["job_id"] == again["job_id"]
    state.jobs.clear()
    state.analyses.store = Store(a_job(first["job_id"]))
    answer, elsewhere = await asked(state, "POST", PATH, json=ASKED, headers=headers)
    assert (answer.status_code, elsewhere["job_id"]) == (202, first["job_id"])
    assert len(state.analyses.records.begun) == 1
    answer, body = await asked(state, "POST", PATH, json=ASKED | {"dataset_id": "4567"}, headers=headers)
    assert body["type"] == "idempotency-key-reused"


@pytest.mark.trio
async def test_a_job_that_could_not_run_is_refused_and_not_recorded(state) -> None:
    prefer = {"Prefer": "respond-async"}
    wrong = ASKED | {"mapping": {"y": "y", "treatment": "z"}}
    answer, _ = await asked(state, "POST", PATH, json=wrong, headers=prefer)
    assert answer.status_code in (400, 422)
    state.analyses.admission.is_full = True
    answer, body = await asked(state, "POST", PATH, json=ASKED, headers=prefer)
    assert (answer.status_code, body["type"]) == (429, "bulkhead-full")
    assert state.analyses.records.begun == []


@pytest.mark.trio
async def test_a_report_is_deleted_by_id(state) -> None:
    answer, _ = await asked(state, "DELETE", "/api/analyses/a")
    assert (answer.status_code, state.analyses.deleted) == (204, ["a"])


@pytest.mark.trio
async def test_a_figure_has_its_type_and_the_language_of_the_request_and_never_changes(state) -> None:
    answer, body = await asked(state, "GET", "/api/analyses/a/figures/forest.svg?lang=ja")
    assert (answer.content_type, body) == ("image/svg+xml", b"<svg/>")
    assert "immutable" in answer.headers["Cache-Control"]
    assert (answer.headers["Content-Language"], state.analyses.languages) == ("ja", ["ja"])
    _, body = await asked(state, "GET", "/api/estimators")
    assert body == {"estimators": [{"name": "difference_in_means"}]}


@pytest.mark.trio
async def test_a_document_is_a_file_in_the_language_of_the_request(state) -> None:
    for suffix, media in EXPORT_TYPES.items():
        answer, body = await asked(state, "GET", f"/api/analyses/{'a' * 32}/export.{suffix}?lang=ja")
        assert (answer.status_code, answer.content_type, body) == (200, media, suffix.encode())
        assert answer.headers["Content-Disposition"] == f'attachment; filename="cqox-aaaaaaaa.{suffix}"'
        assert answer.headers["Content-Language"] == "ja"
