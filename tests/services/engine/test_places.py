"""Tables in place of a running gateway and engine: a real PostgreSQL server, and a folder of files."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner

import cqox
from cqox.cli.app import app
from cqox.errors import NotFound
from tests.servers import Postgres, running
from tests.sources.iceberg_tables import catalog
from tests.waiting import wait_until

pytestmark = pytest.mark.xdist_group("places")
ROWS = 210_000
MAPPING = {"y": "y", "treatment": "t", "covariates": ["x", "region"], "unit_id": "id"}
OPTIONS = {"estimators": ["ols_adjustment", "dml_plr"]}
SECRET = "xyzzy plugh"
ROWS_OF = (
    "select i::bigint as id, (i % 7)::float8 / 3 + (i % 11 < 5)::int + sin(i) as y, (i % 11 < 5)::int as t, "
    f"cos(i * 0.7) as x, 'r' || (i % 3) as region from generate_series(1, {ROWS}) i"
)

type Clients = tuple[httpx.Client, Callable[[], list[str]]]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running(Postgres()) as started:
        started.execute(f"create table sales as {ROWS_OF}")
        yield started


@pytest.fixture
def folder(server: Postgres, tmp_path: Path) -> Path:
    frame = pl.DataFrame(server.execute("select * from sales"), schema=["id", "y", "t", "x", "region"], orient="row")
    (tmp_path / "lake").mkdir()
    for number in range(2):
        half = ROWS // 2
        frame.slice(number * half, half).write_parquet(tmp_path / "lake" / f"{number}.parquet")
        frame.slice(number * half, half).write_csv(tmp_path / "lake" / f"{number}.csv")
    table = catalog(tmp_path / "warehouse").create_table("db.visits", schema=frame.to_arrow().schema)
    table.append(frame.to_arrow())
    return tmp_path / "lake"


@pytest.fixture
def clients(start, server: Postgres, folder: Path, tmp_path: Path) -> Iterator[Clients]:
    (tmp_path / "sources.toml").write_text(
        f'[shop]\nkind = "postgres"\naddress = "{server.url}"\ntables = ["public.sales"]\nkey = "id"\n'
        f'[stated]\nkind = "postgres"\naddress = "{server.url}"\ntables = ["public.sales"]\nas_of = "2026-11-30"\n'
        f'[lake]\nkind = "parquet"\nfolder = "{folder}"\nmeaning = "All sales"\n'
        f'[drop]\nkind = "csv"\nfolder = "{folder}"\ntypes = {{ region = "word", x = "real" }}\n'
        f'[theirs]\nkind = "parquet"\nfolder = "{folder}"\ntenants = ["acme"]\n'
        f'[warehouse]\nkind = "iceberg"\nfolder = "{tmp_path}/warehouse/db"\ntables = ["visits"]\n'
        '[away]\nkind = "postgres"\ntables = ["t"]\n'
        "address = \"host=127.0.0.1 port=1 user=me password='${SECRET}'\"\n"
    )
    variables = {"CQOX_SOURCES": str(tmp_path / "sources.toml"), "SECRET": SECRET}
    engine = start("-m", "services.engine", **variables)
    with engine.ready_client():
        gateway = start("-m", "services.gateway", ENGINE_URL=engine.url)
        with gateway.ready_client() as client:
            yield client, lambda: [*engine.lines, *gateway.lines]


def asked(source: str, table: str, **options: object) -> dict[str, object]:
    return {"source": source, "table": table, "mapping": MAPPING, "options": {**OPTIONS, **options}}


def body_of(path: str, source: str, table: str) -> dict[str, object]:
    return asked(source, table) if path == "/api/analyze/preview" else {"source": source, "table": table}


def analyzed(client: httpx.Client, body: Mapping[str, object], **headers: str) -> httpx.Response:
    return client.post("/api/analyze/comprehensive", json=body, headers=headers, timeout=120)


def statements(server: Postgres) -> list[tuple[object, ...]]:
    return server.execute(
        "select pid from pg_stat_activity where application_name <> 'test' and wait_event_type = 'Lock'"
    )


def sessions(server: Postgres) -> list[tuple[object, ...]]:
    return server.execute(
        "select pid from pg_stat_activity where application_name <> 'test' and backend_type = 'client backend'"
    )


def test_tables_in_place_have_the_numbers_of_an_upload(clients: Clients, server: Postgres, folder: Path) -> None:
    client, _ = clients
    listed = {each["name"]: each for each in client.get("/api/sources").json()["sources"]}
    assert listed.keys() == {"shop", "stated", "lake", "drop", "warehouse", "away"}
    assert (listed["shop"]["kind"], listed["shop"]["tables"]) == ("postgresql", ["public.sales"])
    assert (listed["lake"]["kind"], listed["lake"]["tables"], listed["lake"]["meaning"]) == (
        "parquet", ["lake"], "All sales",
    )  # fmt: skip
    frame = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    content = frame.write_csv().encode()
    dataset = client.post("/api/datasets", files={"file": ("sales.csv", content)}).json()["dataset_id"]
    body = {"dataset_id": dataset, "mapping": MAPPING, "options": OPTIONS}
    memory = {each["name"]: each for each in analyzed(client, body).json()["estimates"]}
    found = {}
    tables = [
        ("shop", "public.sales", None),
        ("stated", "public.sales", "2026-11-30"),
        ("lake", "lake", ""),
        ("warehouse", "visits", ""),
    ]
    for source, table, snapshot in tables:
        answer = analyzed(client, asked(source, table))
        assert answer.status_code == 200, answer.text
        found[source] = report = answer.json()
        origin = report["provenance"]
        assert (origin["source"], origin["table"], origin["rows"]) == (source, table, ROWS)
        assert origin["snapshot"] == snapshot or (snapshot == "" and origin["snapshot"])
        assert origin["engine"].startswith("duckdb" if source in ("lake", "warehouse") else "postgresql")
        assert report["dataset_id"] == f"source:{source}:{table}"
        for each in report["estimates"]:
            other = memory[each["name"]]
            assert each["n"] == other["n"] == ROWS
            assert each["estimate"] == pytest.approx(other["estimate"], rel=1e-8)
            assert each["standard_error"] == pytest.approx(other["standard_error"], rel=1e-8)
    # Only rows that a snapshot identifies are answered from the cache.
    again = {source: analyzed(client, asked(source, found[source]["provenance"]["table"])).json() for source in found}
    assert {source: each["provenance"]["cache"] for source, each in again.items()} == {
        "shop": "miss", "stated": "hit", "lake": "hit", "warehouse": "hit",
    }  # fmt: skip
    assert again["shop"]["analysis_id"] != found["shop"]["analysis_id"]
    assert client.get(f"/api/analyses/{found['shop']['analysis_id']}").status_code == 200
    wait_until(lambda: not sessions(server))


def test_what_a_request_may_not_name_is_said(clients: Clients) -> None:
    client, _ = clients
    unknown = [("theirs", "theirs", "source"), ("none", "t", "source"), ("shop", "pg_class", "table")]
    for source, table, field in unknown:
        answer = analyzed(client, asked(source, table))
        assert (answer.status_code, answer.json()["type"], answer.json()["field"]) == (404, "not-found", field)
        assert "theirs" not in answer.json()["choices"]
    for body in ({"source": "shop"}, {"table": "t"}, {"source": "shop", "table": "public.sales", "dataset_id": "test"}):
        answer = analyzed(client, {**body, "mapping": MAPPING})
        assert (answer.status_code, answer.json()["type"]) == (400, "invalid-request")
        assert "either dataset_id, or source and table" in answer.json()["detail"]
    for path in ("/api/analyze/preview", "/api/roles/infer"):
        for source, table, field in unknown:
            answer = client.post(path, json=body_of(path, source, table))
            assert (answer.status_code, answer.json()["field"]) == (404, field)
            assert "theirs" not in answer.json()["choices"]


def test_a_file_that_breaks_the_kind_of_a_column_is_named_and_closes_no_circuit(clients: Clients, folder: Path) -> None:
    client, _ = clients
    (folder / "2.csv").write_text("id,y,t,x,region\n210001,1.5,1,many,r1\n")
    for _ in range(4):
        answer = analyzed(client, asked("drop", "drop"))
        assert (answer.status_code, answer.json()["type"]) == (422, "unusable-data")
        assert (
            "'2.csv' has the value 'many' in the column 'x', which is not of the kind 'real'" in answer.json()["detail"]
        )
    (folder / "2.csv").unlink()
    assert analyzed(client, asked("drop", "drop")).status_code == 200


def test_a_client_and_the_command_line_name_a_table_in_place(clients: Clients, tmp_path: Path) -> None:
    http, _ = clients
    url = str(http.base_url).rstrip("/")
    with cqox.Client(url) as client:
        listed = {each.name: list(each.tables) for each in client.sources()}
        assert listed == {
            "shop": ["public.sales"],
            "stated": ["public.sales"],
            "lake": ["lake"],
            "drop": ["drop"],
            "warehouse": ["visits"],
            "away": ["t"],
        }
        steps: list[object] = []
        report = client.analyze(
            source="stated",
            table="public.sales",
            **MAPPING,
            **OPTIONS,
            progress=lambda step: steps.append(step["step"]),
        )
        assert (report.dataset_id, report.provenance.rows) == ("source:stated:public.sales", ROWS)
        assert "estimate.dml_plr" in steps
        assert not {"upload", "file"} & set(steps)
        job = client.submit(source="stated", table="public.sales", **MAPPING, **OPTIONS)
        assert job.wait().analysis_id == report.analysis_id
        with pytest.raises(NotFound) as caught:
            client.analyze(source="shop", table="public.sale", **MAPPING)
        assert (caught.value.field, caught.value.choices) == ("table", ("public.sales",))
    assert [*commanded(url, "sources")[1].split()[4:6]] == ["shop", "public.sales"]
    place = ("--source", "stated", "--table", "public.sales")
    roles = ("--y", "y", "--treatment", "t", "--covariates", "x,region", "--unit-id", "id", "--no-figures", "--json")
    status, out, _ = commanded(url, "analyze", *place, *roles, "-o", "estimators=ols_adjustment,dml_plr")
    assert (status, json.loads(out)["analysis_id"]) == (0, report.analysis_id)
    for source, table, valid in (("sho", "public.sales", "Valid: shop"), ("shop", "sales", "Valid: public.sales")):
        status, out, said = commanded(url, "analyze", "--source", source, "--table", table, *roles)
        assert (status, out) == (1, "")
        assert valid in said
    # A source that cannot be reached is no mistake of the command line either.
    status, _, said = commanded(url, "analyze", "--source", "away", "--table", "t", *roles)
    assert status == 1
    assert "'away' cannot be read" in said


def test_columns_of_a_table_are_names_and_kinds_for_those_who_may_read_it(clients: Clients, server: Postgres) -> None:
    client, lines = clients

    def columns(source: str, table: str | None) -> httpx.Response:
        return client.get(f"/api/sources/{source}/columns", params={} if table is None else {"table": table})

    kinds = {"id": "whole", "y": "real", "t": "whole", "x": "real", "region": "word"}
    for source, table in (("shop", "public.sales"), ("lake", "lake")):
        answer = columns(source, table)
        assert answer.json() == {
            "source": source, "table": table,
            "columns": [{"name": name, "kind": kind, "type": None} for name, kind in kinds.items()],
        }  # fmt: skip
    # A table that the operator has not named, a source of another tenant and no table at all.
    refused = [("shop", "pg_catalog.pg_authid", "table"), ("theirs", "theirs", "source"), ("shop", None, "table")]
    for source, named, field in refused:
        answer = columns(source, named)
        assert (answer.status_code, answer.json()["field"]) == (404, field)
        assert "theirs" not in answer.json()["choices"]
    assert client.get("/api/sources/shop/columns", params={"tabel": "public.sales"}).status_code == 400
    away = columns("away", "t")
    assert (away.status_code, away.json()["type"]) == (503, "source-down")
    shown = "\n".join([*lines(), away.text])
    assert not [part for part in (SECRET, *SECRET.split()) if part in shown]
    with cqox.Client(str(client.base_url).rstrip("/")) as typed:
        assert {each.name: each.kind for each in typed.columns("shop", "public.sales")} == kinds
    wait_until(lambda: not sessions(server))


def commanded(url: str, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*arguments, "--server", url, "--lang", "en"], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def test_a_source_that_is_down_is_rested_and_its_password_is_nowhere(clients: Clients) -> None:
    client, lines = clients
    answers = [analyzed(client, asked("away", "t")) for _ in range(4)]
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "source-down"), answer.text
        assert int(answer.headers["retry-after"]) >= 1
    assert "has failed several times" in answers[-1].json()["detail"]
    # The circuit of one source is none of another's.
    assert analyzed(client, asked("lake", "lake")).status_code == 200
    shown = "\n".join([*lines(), *(answer.text for answer in answers), client.get("/api/sources").text])
    assert "'away'" in shown
    for part in (SECRET, *SECRET.split()):
        assert part not in shown


def test_a_cancelled_request_and_a_passed_deadline_end_the_statement(clients: Clients, server: Postgres) -> None:
    client, _ = clients
    with psycopg.connect(server.url, application_name="test") as locker:
        locker.execute("lock table sales in access exclusive mode")
        answer = analyzed(client, asked("shop", "public.sales"), **{"X-Request-Timeout-Ms": "3000"})
        assert answer.status_code == 504
        wait_until(lambda: not sessions(server))

        job = client.post(
            "/api/analyze/comprehensive", json=asked("shop", "public.sales"), headers={"Prefer": "respond-async"}
        ).json()
        wait_until(lambda: statements(server))
        assert client.delete(f"/api/jobs/{job['job_id']}").status_code in (200, 202, 204)
        wait_until(lambda: not sessions(server))
    assert analyzed(client, asked("shop", "public.sales")).status_code == 200


def test_roles_and_preview_of_a_table_in_place_are_those_of_an_upload(clients: Clients, server: Postgres) -> None:
    client, _ = clients
    rows = server.execute("select * from sales")
    frame = pl.DataFrame(rows, schema=["id", "y", "t", "x", "region"], orient="row")
    dataset = client.post("/api/datasets", files={"file": ("sales.csv", frame.write_csv().encode())}).json()
    named = {"dataset_id": dataset["dataset_id"]}
    roles = client.post("/api/roles/infer", json=named, timeout=120).json()
    body = {**named, "mapping": MAPPING, "options": OPTIONS}
    preview = client.post("/api/analyze/preview", json=body, timeout=120).json()
    for source, table in (("shop", "public.sales"), ("lake", "lake"), ("drop", "drop")):
        answer = client.post("/api/roles/infer", json={"source": source, "table": table}, timeout=120)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["dataset_id"], found["mapping"]) == (f"source:{source}:{table}", roles["mapping"])
        assert found["sample"]["of"] == ROWS
        answer = client.post("/api/analyze/preview?lang=ja", json=asked(source, table), timeout=120)
        assert answer.status_code == 200, answer.text
        seen = answer.json()
        assert seen["dataset_id"] == f"source:{source}:{table}"
        (ours,), (theirs,) = seen["contrasts"], preview["contrasts"]
        assert (ours["primary"], ours["design"]) == (theirs["primary"], theirs["design"])
        assert ours["power"]["effect"] == pytest.approx(theirs["power"]["effect"], rel=0.05)
        rows_read = seen["sample"]["rows"]
        assert ours["rows"]["read"] == rows_read < ROWS == seen["sample"]["of"]
        assert f"表は{ROWS:,}行ある" in " ".join(seen["notes"])
    url = str(client.base_url).rstrip("/")
    with cqox.Client(url) as typed:
        found = typed.roles(source="lake", table="lake")
        assert found.mapping == roles["mapping"]
        seen = typed.preview(source="lake", table="lake", **MAPPING, **OPTIONS)
        assert seen.sample is not None
    place = ("--source", "lake", "--table", "lake")
    status, out, _ = commanded(url, "roles", *place)
    assert (status, out.split("\n")[-2].split()[:8]) == (0, ["cqox", "analyze", *place, "--server", url])
    flags = ("--y", "y", "--treatment", "t", "--covariates", "x,region")
    status, out, _ = commanded(url, "preview", *place, *flags)
    assert status == 0
    assert f"of the {ROWS:,} rows of the table" in out
    status, out, _ = commanded(url, "preview", *place, *flags, "--json")
    assert json.loads(out)["sample"]["of"] == ROWS
    wait_until(lambda: not sessions(server))


@pytest.mark.parametrize("path", ["/api/roles/infer", "/api/analyze/preview"])
def test_a_client_that_leaves_or_waits_no_longer_ends_the_statement(
    clients: Clients, server: Postgres, path: str
) -> None:
    client, _ = clients
    body = body_of(path, "shop", "public.sales")
    with psycopg.connect(server.url, application_name="test") as locker:
        locker.execute("lock table sales in access exclusive mode")
        answer = client.post(path, json=body, headers={"X-Request-Timeout-Ms": "3000"}, timeout=60)
        assert answer.status_code == 504
        wait_until(lambda: not sessions(server))
        with pytest.raises(httpx.ReadTimeout):
            client.post(path, json=body, timeout=httpx.Timeout(60, read=3))
        wait_until(lambda: not sessions(server))
    # The deadlines of clients close no circuit.
    assert client.post(path, json=body, timeout=120).status_code == 200
