"""Reach of one tenant's keys into another: nothing but share links."""

from pathlib import Path

import httpx

from tests.e2e.access_keys import ASKED, HOP_KEY, TABLE, bearer, make_key
from tests.e2e.stack import Stack, build
from tests.servers import Postgres, running


def test_a_key_gives_no_more_than_its_maker_has_and_reaches_no_other_tenant(keyed: Stack, steward: str) -> None:
    other = make_key(keyed, "--tenant", "acme", "--new-tenant", "--role", "steward")
    with keyed.client() as client:

        def asked(key: str, **body: object) -> httpx.Response:
            return client.post("/api/keys", json={"name": "n"} | body, headers=bearer(key))

        refused = asked(steward, roles=["operator"])
        assert (refused.status_code, refused.json()["choices"]) == (400, ["reader", "analyst", "steward"])
        assert asked(steward, roles=["platform", "reader"]).status_code == 400
        # Scopes may bring a role within what the maker has.
        manager = asked(steward, roles=["steward"], scopes=["keys:manage"]).json()["key"]
        assert asked(manager, roles=["steward"]).status_code == 400
        assert asked(manager, roles=["reader"]).status_code == 400
        assert asked(manager, roles=["steward"], scopes=["keys:manage"]).status_code == 201
        assert client.get("/api/datasets", headers=bearer(manager)).status_code == 403

        assert client.get("/api/me", headers=bearer(other)).json()["tenant"] == "acme"
        listed = client.get("/api/keys", headers=bearer(other)).json()["keys"]
        assert len(listed) == 1
        mine = client.get("/api/keys", headers=bearer(steward)).json()["keys"][0]["key_id"]
        assert client.delete(f"/api/keys/{mine}", headers=bearer(other)).status_code == 404
        assert client.get("/api/tenants/default", headers=bearer(other)).status_code == 404


def test_two_tenants_with_the_same_bytes_see_nothing_of_each_other(keyed: Stack, steward: str) -> None:
    other = make_key(keyed, "--tenant", "bravo", "--new-tenant", "--role", "steward")
    table = b"y,w\n" + b"".join(b"%d,%d\n" % (number % 11, number % 2) for number in range(80))
    with keyed.client() as client:
        made: dict[str, dict[str, str]] = {}
        for name, key in (("mine.csv", steward), ("theirs.csv", other)):
            headers = bearer(key)
            uploaded = client.post("/api/datasets", files={"file": (name, table)}, headers=headers).json()
            assert uploaded["name"] == name
            asked = ASKED | {"dataset_id": uploaded["dataset_id"]}
            report = client.post("/api/analyze/comprehensive", json=asked, headers=headers).json()
            body = {"title": f"of {name}"}
            path = f"/api/analyses/{report['analysis_id']}"
            version = client.get(f"{path}/annotation", headers=headers).headers["etag"]
            written = client.patch(f"{path}/annotation", json=body, headers=headers | {"If-Match": version})
            assert written.status_code == 200, written.text
            job = client.post(
                "/api/analyze/comprehensive",
                json=asked,
                headers=headers | {"Prefer": "respond-async", "Idempotency-Key": "k"},
            ).json()
            made[key] = {"dataset": uploaded["dataset_id"], "analysis": report["analysis_id"], "job": job["job_id"]}
        # The same bytes and the same question have the same ids, and are two of everything.
        assert made[steward]["dataset"] == made[other]["dataset"]
        assert made[steward]["analysis"] == made[other]["analysis"]
        assert made[steward]["job"] != made[other]["job"]
        for key, name, foreign in ((steward, "mine.csv", other), (other, "theirs.csv", steward)):
            headers = bearer(key)
            names = [each["name"] for each in client.get("/api/datasets", headers=headers).json()["datasets"]]
            assert name in names
            assert not {"mine.csv", "theirs.csv"} - {name} & set(names)
            title = client.get(f"/api/analyses/{made[key]['analysis']}/annotation", headers=headers).json()["title"]
            assert title == f"of {name}"
            assert client.get(f"/api/jobs/{made[foreign]['job']}", headers=headers).status_code == 404
            assert client.get("/api/datasets/test", headers=headers).status_code == 200
            looks = client.get(f"/api/datasets/{made[key]['dataset']}/looks", headers=headers).json()
            assert looks["analyses"] == 1
        # What one deletes stays the other's.
        assert client.delete(f"/api/datasets/{made[other]['dataset']}", headers=bearer(other)).status_code == 204
        assert client.get(f"/api/datasets/{made[other]['dataset']}", headers=bearer(other)).status_code == 404
        assert client.get(f"/api/datasets/{made[steward]['dataset']}", headers=bearer(steward)).status_code == 200
        assert client.get(f"/api/analyses/{made[steward]['analysis']}", headers=bearer(steward)).status_code == 200


def test_a_database_role_that_passes_row_level_security_ends_the_start(tmp_path: Path) -> None:
    with running(Postgres()) as database:
        # The server of the tests lets its superuser in.
        stack = build(tmp_path, CQOX_AUTH="keys", CQOX_HOP_KEY=HOP_KEY, POSTGRES_URL=database.fresh())
        stack.engine.start()
        assert stack.engine.process is not None
        try:
            assert stack.engine.process.wait(60) == 1
        finally:
            stack.engine.kill()
    assert "has the attribute SUPERUSER" in stack.engine.log
    assert "Traceback" not in stack.engine.log


def test_what_belongs_to_a_tenant_is_missing_to_another(keyed: Stack, steward: str) -> None:
    other = make_key(keyed, "--tenant", "acme", "--new-tenant", "--role", "steward")
    content = TABLE + b"9,1\n"
    with keyed.client() as client:

        def ask(key: str, method: str, path: str, **more: object) -> httpx.Response:
            return client.request(method, path, headers=bearer(key), **more)

        mine = ask(steward, "POST", "/api/datasets?name=mine", files={"file": ("t.csv", content)}).json()
        path = f"/api/datasets/{mine['dataset_id']}"
        assert ask(other, "GET", path).status_code == 404
        assert ask(other, "DELETE", path).status_code == 404
        body = ASKED | {"dataset_id": mine["dataset_id"]}
        report = ask(steward, "POST", "/api/analyze/comprehensive", json=body).json()
        figure = next(iter(report["figures"]))
        for part in ("", "/annotation", f"/figures/{figure}.svg", "/export.csv", "/shares"):
            found = f"/api/analyses/{report['analysis_id']}{part}"
            assert (ask(steward, "GET", found).status_code, ask(other, "GET", found).status_code) == (200, 404), part
        drawn = ask(steward, "GET", f"/api/analyses/{report['analysis_id']}/figures/{figure}.svg")
        assert "Authorization" in drawn.headers["vary"]
        assert ask(other, "POST", "/api/analyze/comprehensive", json=body).status_code == 404

        theirs = ask(other, "POST", "/api/datasets?name=theirs", files={"file": ("t.csv", content)}).json()
        assert (theirs["dataset_id"], theirs["name"], mine["name"]) == (mine["dataset_id"], "theirs", "mine")
        own = [one["name"] for one in ask(other, "GET", "/api/datasets").json()["datasets"] if not one["sample"]]
        assert own == ["theirs"]
        assert ask(other, "GET", "/api/analyses").json()["analyses"] == []
        # An idempotency key belongs to a tenant as well.
        job = client.post(
            "/api/analyze/comprehensive",
            json=body,
            headers=bearer(steward) | {"Idempotency-Key": "same", "Prefer": "respond-async"},
        ).json()["job_id"]
        assert ask(other, "GET", f"/api/jobs/{job}").status_code == 404
        assert ask(other, "DELETE", f"/api/jobs/{job}").status_code == 404
        assert ask(other, "DELETE", path).status_code == 204
        assert ask(steward, "GET", path).status_code == 200


def test_a_share_link_of_any_tenant_opens_its_report_without_a_key(keyed: Stack) -> None:
    key = bearer(make_key(keyed, "--tenant", "acme", "--new-tenant", "--role", "analyst"))
    with keyed.client() as client:
        dataset = client.post("/api/datasets", files={"file": ("t.csv", TABLE + b"8,0\n")}, headers=key).json()
        body = ASKED | {"dataset_id": dataset["dataset_id"]}
        report = client.post("/api/analyze/comprehensive", json=body, headers=key).json()
        path = f"/api/analyses/{report['analysis_id']}"
        token = {"Share-Token": client.post(f"{path}/shares", json={}, headers=key).json()["token"]}
        for part in ("", "/annotation", f"/figures/{next(iter(report['figures']))}.svg", "/export.csv"):
            assert client.get(f"/api/shared{part}", headers=token).status_code == 200, part
        # It is no key.
        assert client.get(path, headers=token).status_code == 401
