"""Both services with `CQOX_AUTH=keys`: from the first key on the command line to its end, and what nobody may do."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import cqox
from cqox.errors import NotAuthenticated, PermissionMissing
from cqox.security import HopKeys, Principal, Role, encode, granted, new_key
from tests.e2e.access_keys import ASKED, HOP_KEY, TABLE, bearer, make_key
from tests.e2e.stack import Stack
from tests.waiting import wait_until


def test_a_key_opens_the_whole_way_from_a_file_to_a_report_and_its_end_closes_it(keyed: Stack, steward: str) -> None:
    with keyed.client() as client:
        client.headers.update(bearer(steward))
        uploaded = client.post("/api/datasets", files={"file": ("t.csv", TABLE)}).json()
        report = client.post("/api/analyze/comprehensive", json=ASKED | {"dataset_id": uploaded["dataset_id"]})
        assert report.status_code == 200
        job = client.post("/api/analyze/comprehensive", json=ASKED, headers={"Prefer": "respond-async"})
        assert job.status_code == 202
        path = f"/api/jobs/{job.json()['job_id']}"
        wait_until(lambda: client.get(path).json()["status"] == "succeeded")
        with client.stream("GET", f"{path}/events") as events:
            assert "event: succeeded" in events.read().decode() or events.status_code == 200

        made = client.post("/api/keys", json={"name": "guest", "roles": ["reader"]}).json()
        guest = bearer(made["key"])
        assert client.get("/api/me", headers=guest).json()["roles"] == ["reader"]
        assert client.get("/api/datasets", headers=guest).status_code == 200
        refused = client.delete(f"/api/datasets/{uploaded['dataset_id']}", headers=guest)
        assert (refused.status_code, refused.json()["type"]) == (403, "permission-missing")
        assert 'scope="datasets:write"' in refused.headers["www-authenticate"]
        assert client.get("/api/keys", headers=guest).status_code == 403
        assert client.delete(f"/api/keys/{made['key_id']}", headers=guest).status_code == 404

        assert client.delete(f"/api/keys/{made['key_id']}").status_code == 204
        # By the gateway that passed it on, at once.
        ended = client.get("/api/me", headers=guest)
        assert (ended.status_code, ended.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert client.delete(f"/api/datasets/{uploaded['dataset_id']}").status_code == 204
    for service in (keyed.gateway, keyed.engine):
        for secret in (steward, made["key"], HOP_KEY):
            assert secret not in service.log


def test_the_log_has_what_an_engine_answers_and_what_a_gateway_refuses(keyed: Stack) -> None:
    steward = make_key(keyed, "--tenant", "audited", "--role", "steward", "--new-tenant")
    reader, auditor = (make_key(keyed, "--tenant", "audited", "--role", role) for role in ("reader", "auditor"))
    with keyed.client() as client:
        made = client.post("/api/datasets", files={"file": ("t.csv", TABLE)}, headers=bearer(steward)).json()
        path = f"/api/datasets/{made['dataset_id']}"
        assert client.get(path, headers=bearer(reader)).status_code == 200
        assert client.delete(path, headers=bearer(reader)).status_code == 403
        assert client.get("/api/tenants/default", headers=bearer(reader)).status_code == 404
        assert client.get("/api/audit", headers=bearer(steward)).status_code == 403

        def recorded() -> list[tuple[str, str, str, str]]:
            entries = client.get("/api/audit", headers=bearer(auditor)).json()["entries"]
            return [
                (each["subject"].partition(":")[2], each["action"], each["object"], each["outcome"]) for each in entries
            ]

        def key_id(key: str) -> str:
            return key.split("_")[1]

        expected = {
            (key_id(steward), "upload_dataset", f"dataset:{made['dataset_id']}", "done"),
            (key_id(reader), "read_dataset", f"dataset:{made['dataset_id']}", "done"),
            (key_id(reader), "delete_dataset", f"dataset:{made['dataset_id']}", "refused"),
            (key_id(reader), "read_tenant", "tenant:?", "refused"),
            (key_id(steward), "list_audit", "", "refused"),
        }
        wait_until(lambda: expected <= set(recorded()))
        # Of the engine that answers, never twice.
        assert len([each for each in recorded() if each[1] == "delete_dataset"]) == 1
        assert client.get("/api/audit", headers=bearer(make_key(keyed, "--role", "auditor"))).status_code == 200
    environment = {**os.environ, "CQOX_DATA_DIR": keyed.engine.environment["CQOX_DATA_DIR"]}
    command = [Path(sys.executable).with_name("cqox"), "audit", "verify"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "audited: " in done.stdout) == (0, True), done.stdout + done.stderr


def test_an_analyst_deletes_its_own_data_sets_and_a_steward_any(keyed: Stack, steward: str) -> None:
    one, other = (make_key(keyed, "--role", "analyst") for _ in range(2))
    with keyed.client() as client:
        paths = []
        for number in range(2):
            content = TABLE + b"%d,0\n" % number
            made = client.post("/api/datasets?name=own.csv", content=content, headers=bearer(one)).json()
            assert made["owner"] == f"key:{one.split('_')[1]}"
            # Equal bytes are the same data set, and stay those of who registered them.
            again = client.post("/api/datasets?name=mine.csv", content=content, headers=bearer(other)).json()
            assert again["owner"] == made["owner"]
            paths.append(f"/api/datasets/{made['dataset_id']}")
        refused = client.delete(paths[0], headers=bearer(other))
        assert (refused.status_code, refused.json()["type"]) == (403, "permission-missing")
        assert "'datasets:delete'" in refused.json()["detail"]
        assert client.delete("/api/datasets/test", headers=bearer(other)).status_code == 403
        assert client.delete(f"/api/datasets/{'0' * 32}", headers=bearer(other)).status_code == 404
        assert client.delete(paths[0], headers=bearer(one)).status_code == 204
        assert client.delete(paths[1], headers=bearer(steward)).status_code == 204


def test_a_tenant_that_the_platform_erases_is_closed_and_its_keys_are_gone(keyed: Stack) -> None:
    steward = make_key(keyed, "--tenant", "leaving", "--role", "steward", "--new-tenant")
    reader = make_key(keyed, "--tenant", "leaving", "--role", "reader")
    platform = make_key(keyed, "--role", "platform")
    with keyed.client() as client:
        made = client.post("/api/datasets?name=t.csv", content=TABLE, headers=bearer(steward)).json()
        for key, body, status in (
            (reader, {"tenant": "leaving"}, 403),
            (platform, {"dataset_id": made["dataset_id"]}, 403),
            (steward, {"tenant": "default"}, 400),
            (steward, {"tenant": "audited"}, 404),
        ):
            assert client.post("/api/erasures", json=body, headers=bearer(key)).status_code == status, body
        begun = client.post("/api/erasures", json={"tenant": "leaving"}, headers=bearer(platform))
        assert begun.status_code == 202, begun.text
        path = begun.headers["Location"]
        wait_until(lambda: client.get(path, headers=bearer(platform)).json()["status"] == "finished")
        receipt = client.get(path, headers=bearer(platform)).json()
        assert (receipt["counts"]["datasets"], receipt["counts"]["api_keys"]) == (1, 2)
        # The gateway remembers a key for a minute; no engine answers it meanwhile.
        for key in (steward, reader):
            assert client.get("/api/datasets", headers=bearer(key)).status_code in (401, 404)
            assert client.get("/api/me", headers=bearer(key)).status_code in (401, 404)
        assert client.get(path, headers=bearer(make_key(keyed, "--role", "steward"))).status_code == 200
        assert client.put("/api/tenants/leaving", json={"name": "x"}, headers=bearer(platform)).status_code == 404
    data = Path(keyed.engine.environment["CQOX_DATA_DIR"])
    assert not (data / "tenants" / "leaving").exists()


def test_a_client_takes_its_key_and_says_what_is_wrong_with_it(keyed: Stack, steward: str) -> None:
    with cqox.Client(keyed.gateway.url, token=steward) as client:
        assert client.datasets()
    with cqox.Client(keyed.gateway.url) as client, pytest.raises(NotAuthenticated):
        client.datasets()
    reader = make_key(keyed, "--role", "reader")
    with cqox.Client(keyed.gateway.url, token=reader) as client, pytest.raises(PermissionMissing):
        client.delete_dataset("x")


def test_nothing_is_answered_without_a_key_but_health_the_page_and_share_links(keyed: Stack) -> None:
    with keyed.client() as client:
        for path in ("/api/datasets", "/api/me", "/docs", "/openapi.json", "/metrics", "/nowhere", "/api/keys"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
            assert answer.headers["content-type"] == "application/problem+json"
        for path in ("/", "/history", "/s", "/page/js/main.js", "/health/live", "/health/ready", "/api/health"):
            assert client.get(path).status_code == 200, path
        assert client.get("/api/shared", headers={"Share-Token": "x"}).status_code == 404
        for value in (b"Bearer \xe9", b"Bearer " + b"a" * 9000, b"Basic YTpi", b"Bearer cqox_x"):
            assert client.get("/api/me", headers=[(b"Authorization", value)]).status_code == 401
        twice = [(b"Authorization", f"Bearer {new_key().text}".encode())] * 2
        assert client.get("/api/me", headers=twice).status_code == 401


def test_a_client_cannot_say_who_it_is(keyed: Stack, steward: str) -> None:
    everything = Principal(
        subject="key:x", tenant="default", roles=tuple(map(str, Role)), permissions=granted(Role), kind="key"
    )
    forged = {"X-Cqox-Principal": encode(everything), "X-Cqox-Tenant": "other", "X-Cqox-Principal-Signature": "t=1"}
    with keyed.client() as client:
        assert client.get("/api/me", headers=forged).status_code == 401
        found = client.get("/api/me", headers=forged | bearer(steward)).json()
        assert (found["tenant"], found["roles"]) == ("default", ["steward"])


def test_an_engine_takes_only_what_its_gateway_has_signed(keyed: Stack, steward: str) -> None:
    reader = Principal(
        subject="key:a", tenant="default", roles=("reader",), permissions=granted(["reader"]), kind="key"
    )
    text = encode(reader)

    def signed(key: str, now: float, target: bytes = b"/api/me") -> dict[str, str]:
        signature = HopKeys([key]).sign(text, method="GET", target=target, now=now)
        return {"X-Cqox-Principal": text, "X-Cqox-Principal-Signature": signature}

    now = time.time()
    with httpx.Client(base_url=keyed.engine.url, trust_env=False) as engine:
        assert engine.get("/api/me", headers=signed(HOP_KEY, now)).json()["roles"] == ["reader"]
        for wrong in (
            {},
            bearer(steward),
            {"X-Cqox-Principal": text},
            signed("another-secret-of-at-least-32-characters", now),
            signed(HOP_KEY, now - 120),
            signed(HOP_KEY, now, b"/api/datasets"),
        ):
            assert engine.get("/api/me", headers=wrong).status_code == 401, wrong
        assert engine.post("/api/internal/keys/resolve", json={}).status_code == 401
        # Its own metrics, by a key that may read them.
        operator = make_key(keyed, "--role", "operator")
        assert engine.get("/metrics", headers=bearer(operator)).status_code == 200
        assert engine.get("/metrics", headers=bearer(steward)).status_code == 403


def test_known_keys_work_while_the_engine_is_away_and_others_are_asked_to_wait(keyed: Stack) -> None:
    known, new = make_key(keyed, "--role", "operator"), make_key(keyed, "--role", "operator")
    with keyed.client() as client:
        assert client.get("/metrics", headers=bearer(known)).status_code == 200
        keyed.engine.kill()
        try:
            assert client.get("/metrics", headers=bearer(known)).status_code == 200
            waiting = client.get("/metrics", headers=bearer(new))
            assert waiting.status_code == 503
            assert int(waiting.headers["retry-after"]) >= 1
        finally:
            keyed.engine.start()
            keyed.engine.wait_ready()
        wait_until(lambda: client.get("/metrics", headers=bearer(new)).status_code == 200)


def test_the_command_line_asks_a_server_with_a_key_in_a_file(keyed: Stack, steward: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(steward)
    command = [Path(sys.executable).with_name("cqox"), "roles", "test", "--server", keyed.gateway.url]
    done = subprocess.run([*command, "--token-file", tmp_path / "key"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"--token-file {tmp_path / 'key'}" in done.stdout.replace("\n", "")
    without = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (without.returncode, "API key" in without.stderr) == (1, True)


def test_an_answer_that_the_gateway_keeps_is_counted_recorded_and_gone_with_its_report(
    keyed: Stack, steward: str
) -> None:
    with keyed.client() as client:
        client.headers.update(bearer(steward))
        content = TABLE + b"9,1\n"
        uploaded = client.post("/api/datasets", files={"file": ("t.csv", content)}).json()
        body = ASKED | {"dataset_id": uploaded["dataset_id"]}
        report = client.post("/api/analyze/comprehensive", json=body).json()
        path = f"/api/analyses/{report['analysis_id']}"
        figure = f"{path}/figures/{next(iter(report['figures']))}.svg"
        asked = set[str]()
        for each in (path, figure):
            first, again = client.get(each), client.get(each)
            # Seconds, of which some may pass on a busy machine.
            assert ("age" in first.headers, again.headers["age"].isdecimal()) == (False, True)
            assert again.content == first.content
            own = ("age", "date", "x-request-id", "x-trace-id")
            fields = [
                [field for field in found.headers.multi_items() if field[0] not in own] for found in (first, again)
            ]
            assert sorted(fields[0]) == sorted(fields[1])
            assert again.headers["x-request-id"] != first.headers["x-request-id"]
            direct = client.get(each, headers={"Cache-Control": "no-cache"})
            assert "age" not in direct.headers
            unchanged = [client.get(each, headers={"If-None-Match": first.headers["etag"]}) for _ in range(2)]
            assert [(found.status_code, "age" in found.headers) for found in unchanged] == [(304, False), (304, True)]
            asked |= {found.headers["x-request-id"] for found in (first, again, direct, *unchanged)}
        assert client.get(path, headers={"Authorization": "Bearer nobody"}).status_code == 401

        auditor = bearer(make_key(keyed, "--tenant", "default", "--role", "auditor"))

        def recorded() -> set[str]:
            wanted = {"object": f"analysis:{report['analysis_id']}", "limit": "100"}
            entries = client.get("/api/audit", params=wanted, headers=auditor).json()["entries"]
            return {entry["request_id"] for entry in entries if entry["outcome"] == "done"}

        # Of each five requests, two are answered by the gateway alone.
        wait_until(lambda: asked <= recorded(), failure=lambda: asked - recorded())
        assert client.delete(path).status_code == 204
        assert [client.get(each).status_code for each in (path, figure)] == [404, 404]
