"""Every mistake of a client is a 4xx problem that says what to change, and leaves nothing behind."""

import gzip
import json

import httpx
import pytest

from tests.e2e.test_main_job import analyze, by_name, upload

SMALL = b"y,w,x\n1,0,3\n2,1,4\n3,0,5\n5,1,7\n4,0,1\n6,1,2\n"


@pytest.fixture(scope="module")
def small(stack) -> str:
    with stack.client() as api:
        return str(upload(api, SMALL)["dataset_id"])


def refused(answer: httpx.Response, status: int, *words: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"], problem["detail"]
    return problem


def ask(api: httpx.Client, dataset_id: str, mapping: object, **options: object) -> httpx.Response:
    return api.post(
        "/api/analyze/comprehensive", json={"dataset_id": dataset_id, "mapping": mapping, "options": options}
    )


def test_an_unknown_data_set_is_404(api: httpx.Client) -> None:
    refused(ask(api, "nothing", {"y": "y", "treatment": "w"}), 404, "'nothing'")


def test_an_unknown_column_is_named_with_those_that_exist_the_nearest_first(api: httpx.Client, small: str) -> None:
    problem = refused(ask(api, small, {"y": "yy", "treatment": "w"}), 400, "'yy'", "x")
    assert problem["choices"][0] == "y"  # type: ignore[index]


@pytest.mark.parametrize(
    ("mapping", "status", "word"),
    [
        ({"treatment": "w"}, 400, "outcome is missing"),
        ({"y": "y"}, 400, "treatment is missing"),
        ({"y": "y", "treatment": "y"}, 400, "'y'"),
        ({"y": "y", "treatment": "w", "covariates": ["y"]}, 400, "'y'"),
        ([{"role": "y", "column": "y"}, {"role": "y", "column": "x"}, {"role": "w", "column": "w"}], 400, "twice"),
        ({"y": "y", "outcome": "x", "treatment": "w"}, 400, "twice"),
        ({"y": "y", "treatmint": "w"}, 400, "'treatmint'"),
        ({"y": "y", "treatment": 3}, 400, "column name"),
        ({"y": "y", "treatment": "w", "covariates": ["x", "x"]}, 400, "more than once"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    api: httpx.Client, small: str, mapping: object, status: int, word: str
) -> None:
    refused(ask(api, small, mapping), status, word)


def test_a_role_written_twice_in_one_object_is_refused(api: httpx.Client, small: str) -> None:
    body = f'{{"dataset_id":"{small}","mapping":{{"y":"y","y":"x","treatment":"w"}}}}'
    refused(
        api.post("/api/analyze/comprehensive", content=body, headers={"Content-Type": "application/json"}), 400, "y"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alfa": 0.1}, ("'alfa'", "alpha")),
        ({"alpha": 2}, ("alpha",)),
        ({"estimators": ["ols"]}, ("'ols'",)),
        ({"primary": "magic"}, ("'magic'",)),
        ({"reference_level": 7}, ("'7'",)),
        ({"se": "HC9"}, ("options.se",)),
    ],
)
def test_an_option_that_does_not_exist_is_named(
    api: httpx.Client, small: str, options: dict[str, object], words: tuple[str, ...]
) -> None:
    refused(ask(api, small, {"y": "y", "treatment": "w"}, **options), 400, *words)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"text"', b"{", b'{"dataset_id": NaN}', b"[" * 20_000, b'{"a":' * 20_000, b"\xff\xfe\x00", b"null"],
)
def test_a_body_that_is_no_request_is_400(api: httpx.Client, body: bytes) -> None:
    refused(api.post("/api/analyze/comprehensive", content=body, headers={"Content-Type": "application/json"}), 400)


def test_a_constant_treatment_or_outcome_is_422(api: httpx.Client) -> None:
    dataset_id = str(upload(api, b"y,w,c\n1,0,5\n2,1,5\n3,0,5\n4,1,5\n")["dataset_id"])
    refused(ask(api, dataset_id, {"y": "y", "treatment": "c"}), 422, "'c'")
    refused(ask(api, dataset_id, {"y": "c", "treatment": "w"}), 422, "'c'")


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("empty.csv", b"", 400, ("empty",)),
        ("header.csv", b"y,w\n", 422, ()),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, 415, ("PNG",)),
        ("ragged.csv", b"y,w\n1,0\n2\n3,1\n4,0,9\n", 415, ("3", "5")),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    api: httpx.Client, name: str, content: bytes, status: int, words: tuple[str, ...]
) -> None:
    before = len(api.get("/api/datasets").json()["datasets"])
    answer = api.post("/api/datasets", files={"file": (name, content)})
    assert 400 <= answer.status_code < 500, answer.text
    refused(answer, answer.status_code, *words)
    if status == 415:
        assert answer.status_code == 415
    assert len(api.get("/api/datasets").json()["datasets"]) == before


def test_undecodable_bytes_are_415_with_the_offset_and_what_was_tried(api: httpx.Client) -> None:
    content = "y,w,名前\n1,0,山\n2,1,川\n".encode() + b"3,0,\xff\xfe\x81\xff\n"
    answer = api.post("/api/datasets", files={"file": ("x.csv", content)})
    problem = refused(answer, 415)
    assert "utf-8" in str(problem["detail"]).lower()
    assert "cp932" in str(problem["detail"]).lower()


def test_a_compressed_bomb_is_413_and_fast(api: httpx.Client) -> None:
    line = b"1,0\n" * 250_000
    bomb = gzip.compress(b"y,w\n" + line * 200, compresslevel=9)
    answer = api.post("/api/datasets", files={"file": ("x.csv.gz", bomb)}, timeout=30)
    refused(answer, 413)


def test_a_parquet_file_named_csv_just_works(api: httpx.Client, tmp_path) -> None:
    import polars as pl

    path = tmp_path / "x.csv"
    pl.DataFrame({"y": [1.0, 2.0, 3.5, 4.0], "w": [0, 1, 0, 1]}).write_parquet(path)
    assert upload(api, path.read_bytes(), "x.csv")["rows"] == 4


def test_an_arm_with_one_row_is_skipped_and_the_call_stands(api: httpx.Client) -> None:
    rows = "\n".join(f"{number},{int(number == 0)},{number * 7 % 5}" for number in range(30))
    dataset_id = str(upload(api, f"y,w,x\n{rows}\n".encode())["dataset_id"])
    report = analyze(api, dataset_id, {"y": "y", "treatment": "w", "covariates": ["x"]})
    assert by_name(report)["difference_in_means"]["status"] in ("skipped", "warning")
    assert not report["errors"]


def test_collinear_and_constant_covariates_change_nothing_and_are_said(api: httpx.Client) -> None:
    rows = ["y,w,x,twice,same"]
    for number in range(120):
        x = number * 37 % 29
        rows.append(f"{3 * (number % 2) + x / 5 + number % 7},{number % 2},{x},{2 * x},1")
    dataset_id = str(upload(api, "\n".join(rows).encode())["dataset_id"])
    plain = analyze(api, dataset_id, {"y": "y", "treatment": "w", "covariates": ["x"]})
    doubled = analyze(api, dataset_id, {"y": "y", "treatment": "w", "covariates": ["x", "twice", "same"]})
    for name, estimate in by_name(plain).items():
        other = by_name(doubled)[name]
        assert other["status"] == estimate["status"], name
        if estimate["estimate"] is not None:
            assert other["estimate"] == pytest.approx(estimate["estimate"], rel=1e-8), name
            assert other["standard_error"] == pytest.approx(estimate["standard_error"], rel=1e-6), name
    assert "twice" in json.dumps(doubled, ensure_ascii=False)


@pytest.mark.parametrize("path", ["/api/analyses/nothing", "/api/analyses/..%2f..%2fetc", "/api/jobs/nothing", "/nope"])
def test_what_does_not_exist_is_404(api: httpx.Client, path: str) -> None:
    refused(api.get(path), 404)


def test_a_built_in_data_set_cannot_be_deleted(api: httpx.Client) -> None:
    refused(api.delete("/api/datasets/test"), 400, "built in")


def test_a_figure_or_format_that_is_not_there_is_404_with_what_is(api: httpx.Client) -> None:
    report = analyze(api, "test", {"y": "y", "treatment": "w"})
    address = f"/api/analyses/{report['analysis_id']}/figures"
    assert "forest" in refused(api.get(f"{address}/nope.svg"), 404)["choices"]  # type: ignore[operator]
    refused(api.get(f"{address}/forest.gif"), 404, "gif")
