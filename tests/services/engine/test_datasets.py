"""Handlers of data sets, over a stub of the registry."""

import json
from types import SimpleNamespace

import pytest

from cqox.analysis.idempotency import IdempotencyKeys
from cqox.errors import NotFound, StorageFull
from cqox.storage.sealing import PlainWriter
from services.engine.datasets import handlers
from tests.services.engine.handled import app_of, state_of
from tests.storage.bound import a_cache
from tests.storage.records import a_dataset


class Registry:
    def __init__(self, scratch) -> None:
        self.scratch = scratch
        self.added: list[dict[str, object]] = []
        self.is_full = False

    async def check_room(self, size_bytes: int) -> None:
        if self.is_full:
            raise StorageFull("The disk is full.")

    def make_room(self) -> None: ...

    def upload_writer(self, file):
        return PlainWriter(file)

    async def add(self, path, **about: object):
        self.added.append({"content": path.read_bytes(), **about})
        return a_dataset("0123")

    async def all(self):
        return [a_dataset("0123")]

    async def get(self, dataset_id: str):
        if dataset_id != "0123":
            raise NotFound("There is no such data set.")
        return a_dataset(dataset_id)

    async def infer(self, dataset_id: str):
        return {"mapping": {"y": dataset_id}}


class Retention:
    def __init__(self) -> None:
        self.deleted: list[tuple[str, bool]] = []

    async def delete_dataset(self, dataset_id: str, *, reports: bool) -> None:
        self.deleted.append((dataset_id, reports))


@pytest.fixture
def state(tmp_path):
    return state_of(datasets=Registry(tmp_path), retention=Retention(), keys=IdempotencyKeys(a_cache()))


async def asked(state: SimpleNamespace, method: str, path: str, **given: object):
    answer = await app_of(handlers(state)).test_client().open(path, method=method, **given)
    body = await answer.get_data()
    return answer, json.loads(body) if body else None


@pytest.mark.trio
async def test_an_upload_is_registered_with_its_options_and_described(state, tmp_path) -> None:
    query = {"name": "a.csv", "na": "-, NA ", "decimal": ","}
    answer, body = await asked(state, "POST", "/api/datasets", data=b"y\n1\n", query_string=query)
    assert (answer.status_code, answer.headers["Location"]) == (201, "/api/datasets/0123")
    assert body["notes"] == ["日本語"]
    assert body["dataset_id"] == "0123"
    (added,) = state.analyses.datasets.added
    assert (added["content"], added["name"], added["size_bytes"]) == (b"y\n1\n", "a.csv", 4)
    assert added["options"] == {"na": ["-", "NA"], "decimal": ","}
    assert not list(tmp_path.iterdir())


@pytest.mark.trio
async def test_options_that_reshape_a_file_are_fields_of_the_form(state) -> None:
    form = {"header_rows": "2", "fill_down": "a,b", "drop_rows": '{"rows": [1]}', "unpivot": '{"columns": ["a", "b"]}'}
    answer, _ = await asked(state, "POST", "/api/datasets", data=b"y\n1\n", query_string=form)
    assert answer.status_code == 201
    assert state.analyses.datasets.added[0]["options"] == form


@pytest.mark.trio
async def test_an_unknown_option_and_a_full_disk_are_refused_before_anything_is_registered(state) -> None:
    answer, body = await asked(state, "POST", "/api/datasets?sep=x", data=b"y\n1\n")
    assert (answer.status_code, body["field"]) == (400, "sep")
    assert "delimiter" in body["choices"]
    state.analyses.datasets.is_full = True
    answer, _ = await asked(state, "POST", "/api/datasets", data=b"y\n1\n")
    assert answer.status_code == 507
    assert state.analyses.datasets.added == []


@pytest.mark.trio
async def test_a_data_set_is_listed_in_short_and_described_in_full(state) -> None:
    _, listed = await asked(state, "GET", "/api/datasets")
    (row,) = listed["datasets"]
    assert (row["rows"], row["columns"], row["sample"]) == (3, 2, False)
    _, body = await asked(state, "GET", "/api/datasets/0123")
    assert body == {name: row[name] for name in row if name not in ("rows", "columns")} | {"notes": ["日本語"]}
    answer, _ = await asked(state, "GET", "/api/datasets/4567")
    assert answer.status_code == 404


@pytest.mark.trio
async def test_reports_are_erased_only_on_request(state) -> None:
    for query in ("", "?erase=reports"):
        answer, _ = await asked(state, "DELETE", f"/api/datasets/0123{query}")
        assert answer.status_code == 204
    answer, body = await asked(state, "DELETE", "/api/datasets/0123?erase=all")
    assert (answer.status_code, body["choices"]) == (400, ["reports"])
    assert state.analyses.retention.deleted == [("0123", False), ("0123", True)]


@pytest.mark.trio
async def test_roles_are_inferred_for_the_data_set_in_the_body(state) -> None:
    _, body = await asked(state, "POST", "/api/roles/infer", json={"dataset_id": "0123"})
    assert body == {"mapping": {"y": "0123"}}
    answer, _ = await asked(state, "POST", "/api/roles/infer", json={"dataset": "0123"})
    assert answer.status_code == 400


class Originals:
    def __init__(self) -> None:
        self.read_with: list[tuple[str, dict[str, object]]] = []

    async def sheets(self, dataset_id: str, sheet: str | None):
        return {"dataset_id": dataset_id, "original": dataset_id == "0123", "sheets": [{"name": sheet}]}

    async def read(self, dataset_id: str, options, *, owner: str | None = None):
        self.read_with.append((dataset_id, dict(options)))
        return a_dataset("4567")


@pytest.mark.trio
async def test_the_sheets_of_an_original_are_shown_and_an_engine_without_it_gives_way_to_others(state) -> None:
    state.analyses.originals = Originals()
    answer, body = await asked(state, "GET", "/api/datasets/0123/sheets?sheet=2")
    assert body == {"dataset_id": "0123", "original": True, "sheets": [{"name": "2"}]}
    assert "X-Second-Hand" not in answer.headers
    answer, _ = await asked(state, "GET", "/api/datasets/4567/sheets")
    assert "X-Second-Hand" in answer.headers
    answer, _ = await asked(state, "GET", "/api/datasets/4567/sheets?header=4")
    assert answer.status_code == 400


@pytest.mark.trio
async def test_an_original_is_read_again_with_values_or_the_text_of_an_upload(state) -> None:
    state.analyses.originals = Originals()
    for body in ({"header_row": 4, "na": ["-"]}, {"header_row": "4", "na": "-"}):
        answer, found = await asked(state, "POST", "/api/datasets/0123/read", json=body)
        assert (answer.status_code, answer.headers["Location"]) == (201, "/api/datasets/4567")
        assert found["dataset_id"] == "4567"
    assert state.analyses.originals.read_with == [("0123", {"header_row": "4", "na": ["-"]})] * 2
    answer, found = await asked(state, "POST", "/api/datasets/0123/read", json={"headers": 4})
    assert (answer.status_code, found["field"]) == (400, "headers")
