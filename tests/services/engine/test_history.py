"""Titles, notes and names over a running engine."""

import httpx
import pytest

from cqox.contract import AnalysisListing, AnnotationDescription, DatasetLooks
from services.engine.history import annotation_answer, handlers
from tests.services.engine.handled import app_of, state_of
from tests.storage.records import an_annotation

ANALYZE = "/api/analyze/comprehensive"
ASKED = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w"},
    "options": {"estimators": ["difference_in_means"]},
}
CSV = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (number, number % 2, number * 7 % 13) for number in range(60))


class History:
    """Keeps the versions that were expected."""

    def __init__(self) -> None:
        self.expected: list[object] = []

    async def annotate(self, analysis_id: str, changes: object, *, expected: object):
        self.expected.append(expected)
        return an_annotation(1, "v")


@pytest.mark.trio
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, None),
        ("*", None),
        ('"a"', {"a"}),
        ('"a", "b"', {"a", "b"}),
        ('W/"a"', set()),
        ("a", set()),
        ("", set()),
    ],
)
async def test_if_match_names_versions_and_weak_or_malformed_ones_match_none(
    field: str | None, expected: object
) -> None:
    state = state_of(history=History())
    client = app_of({"annotate_analysis": handlers(state)["annotate_analysis"]}).test_client()
    headers = {} if field is None else {"If-Match": field}
    answer = await client.patch("/api/analyses/a/annotation", json={"title": "t"}, headers=headers)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v"')
    assert state.analyses.history.expected == [expected]


@pytest.mark.trio
async def test_an_annotation_is_answered_with_its_version_as_etag() -> None:
    app = app_of({})
    async with app.test_request_context("/"):
        answer = annotation_answer(an_annotation(1, "v", title="t"))
        found = AnnotationDescription.model_validate_json(await answer.get_data())
    assert (found.title, found.notes, answer.headers["ETag"]) == ("t", None, '"v"')


def test_title_and_notes_are_outside_the_report_and_go_with_it(engine: httpx.Client) -> None:
    report = engine.post(ANALYZE, json=ASKED).json()
    path = f"/api/analyses/{report['analysis_id']}"
    before = {name: value for name, value in engine.get(path).json().items() if name != "provenance"}
    first = engine.get(f"{path}/annotation")
    assert (first.status_code, first.json()["title"], first.json()["updated_at"]) == (200, None, None)
    written = engine.patch(f"{path}/annotation", json={"title": "春", "notes": "n"})
    assert (written.status_code, written.json()["title"]) == (200, "春")
    assert engine.get(f"{path}/annotation").headers["etag"] == written.headers["etag"] != first.headers["etag"]
    after = {name: value for name, value in engine.get(path).json().items() if name != "provenance"}
    assert after == before

    late = engine.patch(f"{path}/annotation", json={"title": "late"}, headers={"If-Match": first.headers["etag"]})
    assert (late.status_code, late.json()["type"], late.json()["field"]) == (412, "precondition-failed", "If-Match")
    late = engine.patch(
        f"{path}/annotation?lang=ja", json={"title": "late"}, headers={"If-Match": first.headers["etag"]}
    )
    assert "上書き" in late.json()["detail"]
    wrong = engine.patch(f"{path}/annotation", json={"title": "a\nb"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "title")
    assert engine.patch(f"{path}/annotation", json={"titel": "t"}).json()["choices"] == ["title", "notes"]

    assert engine.delete(path).status_code == 204
    assert engine.get(f"{path}/annotation").status_code == 404
    assert engine.post(ANALYZE, json=ASKED).json()["analysis_id"] == report["analysis_id"]
    assert engine.get(f"{path}/annotation").json()["title"] is None


def test_a_listing_has_question_headline_and_names_in_the_language_of_the_request(engine: httpx.Client) -> None:
    dataset = engine.post("/api/datasets?name=a.csv", content=CSV).json()["dataset_id"]
    report = engine.post(ANALYZE, json=ASKED | {"dataset_id": dataset}).json()
    engine.patch(f"/api/analyses/{report['analysis_id']}/annotation", json={"title": "Spring", "notes": "x" * 300})
    (row,) = engine.get("/api/analyses").json()["analyses"]
    assert (row["outcome"], row["treatment"], row["dataset_name"]) == ("y", "w", "a.csv")
    assert row["headline"] == report["decision"]["headline"]
    assert (row["title"], row["notes"]) == ("Spring", "x" * 199 + "…")
    listing = engine.get("/api/analyses?lang=ja").json()
    AnalysisListing.model_validate(listing)
    japanese = engine.get(f"/api/analyses/{report['analysis_id']}?lang=ja").json()["decision"]["headline"]
    assert listing["analyses"][0]["headline"] == japanese != row["headline"]

    renamed = engine.patch(f"/api/datasets/{dataset}", json={"name": "2026 春"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "2026 春")
    assert engine.get(f"/api/datasets/{dataset}").json() == renamed.json()
    for search, count in (("spring", 1), ("春", 1), ("a.csv", 0)):
        assert len(engine.get("/api/analyses", params={"search": search}).json()["analyses"]) == count, search
    assert engine.get("/api/analyses", params={"search": "x" * 201}).json()["field"] == "search"
    assert engine.patch("/api/datasets/test", json={"name": "mine"}).status_code == 400
    assert engine.patch("/api/datasets/none", json={"name": "mine"}).status_code == 404
    assert engine.patch(f"/api/datasets/{dataset}", json={"name": " "}).json()["field"] == "name"

    assert engine.delete(f"/api/datasets/{dataset}?erase=reports").status_code == 204
    assert engine.get("/api/analyses").json()["analyses"] == []


def test_every_look_at_a_data_set_is_counted_once(engine: httpx.Client) -> None:
    path = "/api/datasets/test/looks"
    assert engine.get(path).json() == {"dataset_id": "test", "analyses": 0, "questions": []}
    other = ASKED | {"mapping": {"y": "x1", "treatment": "w"}}
    adjusted = ASKED | {"mapping": {**ASKED["mapping"], "covariates": ["x1"]}}
    reports = [engine.post(ANALYZE, json=body).json()["analysis_id"] for body in (ASKED, ASKED, other, adjusted)]
    looks = DatasetLooks.model_validate_json(engine.get(path).content)
    assert (looks.analyses, len(set(reports))) == (3, 3)
    assert [(each.outcome, each.treatment, each.analyses) for each in looks.questions] == [
        ("y", "w", 2),
        ("x1", "w", 1),
    ]
    engine.delete(f"/api/analyses/{reports[0]}")
    assert engine.get(path).json()["analyses"] == 2
    assert engine.get("/api/datasets/none/looks").status_code == 404
    assert engine.get(path, params={"outcome": "y"}).status_code == 400
