"""A running engine rejects unknown query parameters and invalid pages."""

import httpx

JOB_QUERY = ["before", "dataset_id", "limit", "status"]
UNKNOWN = [
    ("GET", "/api/jobs", "state", JOB_QUERY),
    ("GET", "/api/analyses", "status", ["before", "dataset_id", "limit", "search"]),
    ("GET", "/api/datasets", "before", []),
    ("DELETE", "/api/datasets/0123", "erse", ["erase"]),
    ("DELETE", "/api/analyses/0123", "erase", []),
    ("DELETE", "/api/jobs/0123", "status", []),
]


def test_a_position_that_no_page_named_is_refused(engine: httpx.Client) -> None:
    for path in ("/api/jobs", "/api/analyses"):
        for before in ("zzz", "", "|", "|id", "2026-11-27T10:00:00+00:00|", "yesterday|id", "\0|id"):
            answer = engine.get(path, params={"before": before})
            assert (answer.status_code, answer.json()["field"]) == (400, "before")
            assert "'next' of the previous page" in answer.json()["detail"]
        whole = engine.get(path, params={"before": "2026-11-27T10:00:00.000000+00:00|0123"})
        assert whole.status_code == 200


def test_a_name_that_the_path_does_not_know_is_refused_with_those_that_it_knows(engine: httpx.Client) -> None:
    for method, path, name, choices in UNKNOWN:
        answer = engine.request(method, path, params={name: "zzz"})
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (400, name)
        assert sorted(problem.get("choices", [])) == choices
        assert f"There is no query parameter '{name}'." in problem["detail"]
