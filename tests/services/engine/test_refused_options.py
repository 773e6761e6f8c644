"""A running engine rejects invalid options before it accepts a job."""

import httpx


def test_an_estimator_that_does_not_exist_is_refused_however_the_answer_is_to_come(engine: httpx.Client) -> None:
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
    for options in ({"estimators": ["aipw", "aipww"]}, {"primary": "aipww"}):
        for headers in ({}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
            answer = engine.post("/api/analyze/comprehensive", json={**body, "options": options}, headers=headers)
            problem = answer.json()
            assert (answer.status_code, problem["field"]) == (400, f"options.{next(iter(options))}")
            assert "There is no estimator 'aipww'. Did you mean aipw" in problem["detail"]
            assert problem["choices"][0] == "aipw"


def test_a_category_that_is_no_column_is_refused_however_the_answer_is_to_come(engine: httpx.Client) -> None:
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}, "options": {"categorical": ["x11"]}}
    for headers in ({}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
        answer = engine.post("/api/analyze/comprehensive", json=body, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (400, "options.categorical"), problem
        assert "Did you mean x1" in problem["detail"]


def test_a_remedy_that_names_no_column_is_refused_however_the_answer_is_to_come(engine: httpx.Client) -> None:
    body = {"dataset_id": "test", "mapping": {"y": "y", "treatment": "w"}}
    remedies = (
        {"drop_rows": {"column": "x11", "values": [1]}},
        {"period_formats": {"x11": "number"}},
        {"yes_no": ["x11"]},
    )
    for options in remedies:
        for headers in ({}, {"Prefer": "respond-async"}, {"Accept": "text/event-stream"}):
            answer = engine.post("/api/analyze/comprehensive", json={**body, "options": options}, headers=headers)
            problem = answer.json()
            assert (answer.status_code, problem["field"]) == (400, f"options.{next(iter(options))}"), problem
            assert problem["choices"][0] == "x1"
