"""Share links of a running engine."""

import httpx
import pytest

from cqox.contract import NewShareDescription, ShareListing

ANALYZE = "/api/analyze/comprehensive"
ASKED = {
    "dataset_id": "test",
    "mapping": {"y": "y", "treatment": "w"},
    "options": {"estimators": ["difference_in_means"]},
}


@pytest.fixture
def sharing(start):
    with start("-m", "services.engine", CQOX_SHARE_LINKS="on", CQOX_SHARE_DAYS="7").ready_client() as client:
        yield client


def test_an_operator_who_has_said_nothing_allows_no_links(engine: httpx.Client) -> None:
    path = f"/api/analyses/{engine.post(ANALYZE, json=ASKED).json()['analysis_id']}/shares"
    refused = engine.post(path, json={})
    assert (refused.status_code, refused.json()["type"]) == (403, "not-allowed")
    assert "CQOX_SHARE_LINKS=on" in refused.json()["detail"]
    assert "運用者" in engine.post(f"{path}?lang=ja", json={}).json()["detail"]
    assert engine.get(path).json() == {"shares": [], "allowed": False, "most_days": 0.0}
    assert engine.get("/api/shared", headers={"Share-Token": "x"}).status_code == 404


def test_a_link_reads_its_report_as_it_is_and_nothing_else(sharing: httpx.Client) -> None:
    report = sharing.post(ANALYZE, json=ASKED).json()
    path = f"/api/analyses/{report['analysis_id']}"
    sharing.patch(f"{path}/annotation", json={"title": "Spring", "notes": "n"})
    made = sharing.post(f"{path}/shares", json={"days": 1})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    share = NewShareDescription.model_validate_json(made.content)
    assert share.path == f"/s#{share.token}"
    listing = sharing.get(f"{path}/shares")
    assert share.token not in listing.text
    (row,) = ShareListing.model_validate_json(listing.content).shares
    assert (row.share_id, row.expires_at) == (share.share_id, share.expires_at)

    name = next(iter(report["figures"]))
    token = {"Share-Token": share.token}
    for suffix in ("svg", "json"):
        figure = sharing.get(f"/api/shared/figures/{name}.{suffix}", headers=token)
        own = sharing.get(f"{path}/figures/{name}.{suffix}")
        assert (figure.status_code, figure.content, figure.headers["cache-control"]) == (200, own.content, "no-store")
    shared, own = sharing.get("/api/shared", headers=token), sharing.get(path)
    members = ("provenance",)
    assert {key: each for key, each in shared.json().items() if key not in members} == {
        key: each for key, each in own.json().items() if key not in members
    }
    assert sharing.get("/api/shared?lang=ja", headers=token).headers["content-language"] == "ja"
    assert sharing.get("/api/shared/annotation", headers=token).json()["title"] == "Spring"
    document = sharing.get("/api/shared/export.csv", headers=token)
    assert document.content == sharing.get(f"{path}/export.csv").content
    for answer in (shared, document):
        assert answer.headers["cache-control"] == "no-store"
    assert sharing.get("/api/shared/figures/none.svg", headers=token).json()["field"] == "name"
    assert sharing.patch("/api/shared/annotation", json={"title": "x"}, headers=token).status_code == 405
    assert sharing.get(f"/api/shared?token={share.token}").status_code == 400


def test_every_token_that_opens_nothing_is_answered_by_the_same_404(sharing: httpx.Client) -> None:
    path = f"/api/analyses/{sharing.post(ANALYZE, json=ASKED).json()['analysis_id']}"
    withdrawn, kept = [sharing.post(f"{path}/shares", json={}).json() for _ in range(2)]
    assert sharing.delete(f"{path}/shares/{withdrawn['share_id']}").status_code == 204
    assert sharing.delete(f"{path}/shares/{withdrawn['share_id']}").status_code == 404

    def refused(address: str, *headers: tuple[str, str]) -> dict[str, object]:
        answer = sharing.get(address, headers=list(headers))
        assert answer.status_code == 404
        ours = ("request_id", "instance", "trace_id", "trace_url")
        return {name: value for name, value in answer.json().items() if name not in ours}

    token = "Share-Token"
    good = (token, kept["token"])
    assert sharing.get("/api/shared", headers=dict([good])).status_code == 200
    answers = [
        refused("/api/shared"),
        refused("/api/shared", (token, "")),
        refused("/api/shared", (token, withdrawn["token"])),
        refused("/api/shared", (token, kept["token"][:-1])),
        refused("/api/shared", good, good),
        refused("/api/shared", ("Authorization", f"Bearer {kept['token']}")),
        refused("/api/shared/annotation", (token, withdrawn["token"])),
        refused("/api/shared/figures/forest.svg", (token, withdrawn["token"])),
        refused("/api/shared/figures/none.svg", (token, withdrawn["token"])),
        refused("/api/shared/export.csv", (token, withdrawn["token"])),
    ]
    sharing.delete(path)
    answers.append(refused("/api/shared", good))
    assert all(each == answers[0] for each in answers)


def test_a_link_that_lives_too_long_or_has_another_member_is_refused(sharing: httpx.Client) -> None:
    path = f"/api/analyses/{sharing.post(ANALYZE, json=ASKED).json()['analysis_id']}/shares"
    for body, field in (({"days": 8}, "days"), ({"days": 0}, "days"), ({"day": 1}, "day")):
        answer = sharing.post(path, json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert sharing.post("/api/analyses/none/shares", json={}).status_code == 404


def test_a_repeated_request_leaves_one_link_that_its_last_token_opens(sharing: httpx.Client) -> None:
    path = f"/api/analyses/{sharing.post(ANALYZE, json=ASKED).json()['analysis_id']}/shares"
    first, second = [sharing.post(path, json={}, headers={"Idempotency-Key": "k"}).json() for _ in range(2)]
    assert (first["share_id"], len(sharing.get(path).json()["shares"])) == (second["share_id"], 1)
    statuses = [
        sharing.get("/api/shared", headers={"Share-Token": each["token"]}).status_code for each in (first, second)
    ]
    assert statuses == [404, 200]
    other = sharing.post(path, json={"days": 1}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["type"]) == (422, "idempotency-key-reused")
