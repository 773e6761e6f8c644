"""Quotas of tenants through both services: uploaded bytes at the gateway, CPU seconds at the engine."""

from collections.abc import Iterator

import pytest

from tests.e2e.access_keys import ASKED, HOP_KEY, TABLE, bearer, make_key
from tests.e2e.stack import Stack, running_stack


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("limited")
    (folder / "hop").write_text(HOP_KEY)
    with running_stack(
        folder,
        CQOX_AUTH="keys",
        CQOX_HOP_KEY_FILE=str(folder / "hop"),
        CQOX_CPU_SECONDS_PER_HOUR="1",
        CQOX_UPLOAD_BYTES_PER_DAY=str(2 * len(TABLE)),
    ) as made:
        yield made


def test_a_tenant_uses_up_its_quotas_and_another_is_not_asked_to_wait(limited: Stack) -> None:
    mine, others = (
        bearer(make_key(limited, "--tenant", tenant, "--new-tenant", "--role", "analyst")) for tenant in ("a", "b")
    )
    with limited.client() as client:
        files = {"file": ("t.csv", TABLE)}
        first = client.post("/api/datasets", files=files, headers=mine)
        assert first.status_code == 201
        assert '"uploaded-bytes";q=' in first.headers["ratelimit-policy"]
        assert '"cpu-seconds";q=1;w=3600' in first.headers["ratelimit-policy"]
        refused = client.post("/api/datasets", files=files, headers=mine)
        assert (refused.status_code, refused.json()["type"]) == (429, "quota-exceeded")
        assert int(refused.headers["retry-after"]) > 60
        assert "CQOX_UPLOAD_BYTES_PER_DAY" in refused.json()["detail"]
        assert client.post("/api/datasets", files=files, headers=others).status_code == 201

        options = {"estimators": ["dml_irm_ate"], "repetitions": 40}
        body = {"dataset_id": "test", "mapping": ASKED["mapping"] | {"covariates": ["x1", "x2"]}}
        answers = []
        for seed in range(30):
            answers.append(
                client.post(
                    "/api/analyze/comprehensive", json=body | {"options": options | {"seed": seed}}, headers=mine
                )
            )
            if answers[-1].status_code != 200:
                break
        assert answers[0].status_code == 200
        assert (answers[-1].status_code, answers[-1].json()["type"]) == (429, "quota-exceeded")
        assert "CQOX_CPU_SECONDS_PER_HOUR" in answers[-1].json()["detail"]
        job = client.post(
            "/api/analyze/comprehensive",
            json=body | {"options": {"seed": 99}},
            headers=mine | {"Prefer": "respond-async"},
        )
        assert job.status_code == 429
        # What is stored is read, and asked for again, without a wait.
        again = client.post("/api/analyze/comprehensive", json=body | {"options": options | {"seed": 0}}, headers=mine)
        assert again.status_code == 200
        assert '"cpu-seconds";r=0;t=' in again.headers["ratelimit"]
        assert client.post("/api/analyze/comprehensive", json=ASKED, headers=others).status_code == 200
    with limited.client() as client:
        operator = bearer(make_key(limited, "--role", "operator"))
        shown = client.get("/metrics", headers=operator).text
        assert 'cqox_rejections_total{policy="uploaded-bytes",reason="Quota"} 1' in shown
        assert "cqox_uploads_received_bytes_total" in shown
