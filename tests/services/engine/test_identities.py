"""Principals, keys and tenants of a running engine without a login; with one, see `tests/e2e/test_access.py`."""

import httpx

from cqox.contract import KeyListing, NewKeyDescription, PrincipalDescription, TenantDescription
from cqox.security import parse_key


def test_keys_are_made_shown_once_listed_and_revoked(engine: httpx.Client) -> None:
    me = PrincipalDescription.model_validate_json(engine.get("/api/me").content)
    assert (me.subject, me.tenant, me.kind) == ("local", "default", "local")
    assert "keys:resolve" not in me.permissions

    made = engine.post("/api/keys", json={"name": "import", "roles": ["reader"], "scopes": ["jobs:read"], "days": 2})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    new = NewKeyDescription.model_validate_json(made.content)
    assert parse_key(new.key) is not None
    listing = engine.get("/api/keys")
    assert new.key not in listing.text
    assert [each.key_id for each in KeyListing.model_validate_json(listing.content).keys] == [new.key_id]

    path = f"/api/keys/{new.key_id}"
    # A repeated request finds it revoked, which is what it asks for.
    assert [engine.delete(path).status_code for _ in range(2)] == [204, 204]
    assert engine.get("/api/keys").json()["keys"][0]["revoked_at"] is not None
    assert engine.delete("/api/keys/0000000000000000").json()["field"] == "key_id"

    for body, field in (
        ({"name": "x", "roles": ["root"]}, "roles"),
        ({"name": "x", "roles": ["reader"], "scopes": ["everything"]}, "scopes"),
        ({"name": "x", "roles": ["reader"], "scopes": ["keys:resolve"]}, "scopes"),
        ({"name": "", "roles": ["reader"]}, "name"),
        ({"name": "x", "roles": []}, "roles"),
        ({"name": "x", "roles": ["reader"], "days": -1}, "days"),
    ):
        refused = engine.post("/api/keys", json=body)
        assert (refused.status_code, refused.json()["field"]) == (400, field), body

    tenant = TenantDescription.model_validate_json(engine.put("/api/tenants/acme", json={"name": "Acme"}).content)
    renamed = engine.put("/api/tenants/acme", json={"name": "ACME"}).json()
    assert (renamed["name"], renamed["created_at"]) == ("ACME", tenant.created_at)
    assert engine.get("/api/tenants/acme").json() == renamed
    assert engine.get("/api/tenants/default").status_code == 200
    for missing in ("nowhere", "Not-An-Id", "-a"):
        assert engine.get(f"/api/tenants/{missing}").json()["field"] == "tenant_id"
    assert engine.put("/api/tenants/Acme", json={"name": "x"}).status_code == 400

    # Without a login nobody asks who holds a key.
    assert engine.post("/api/internal/keys/resolve", json={}).status_code == 404


def test_a_repeated_request_makes_no_other_key_and_does_not_show_the_first_again(engine: httpx.Client) -> None:
    body, headers = {"name": "retried", "roles": ["reader"]}, {"Idempotency-Key": "import-1"}
    first = engine.post("/api/keys", json=body, headers=headers)
    again = [engine.post("/api/keys", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, [each.status_code for each in again]) == (201, [200, 200])
    made = NewKeyDescription.model_validate_json(first.content)
    assert made.key is not None
    assert made.note is None
    for each in again:
        found = NewKeyDescription.model_validate_json(each.content)
        assert (found.key_id, found.key) == (made.key_id, None)
        assert made.key not in each.text
        assert found.note is not None
        assert made.key_id in found.note
    japanese = engine.post("/api/keys", json=body, headers=headers | {"Accept-Language": "ja"})
    assert "失効" in japanese.json()["note"]
    listed = [each["key_id"] for each in engine.get("/api/keys").json()["keys"]]
    assert listed.count(made.key_id) == 1

    other = engine.post("/api/keys", json=body | {"name": "another"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "idempotency-key-reused")
    # Without a key, and with another one, each request makes a key.
    more = [
        engine.post("/api/keys", json=body).json()["key_id"],
        engine.post("/api/keys", json=body, headers={"Idempotency-Key": "import-2"}).json()["key_id"],
    ]
    assert len({made.key_id, *more}) == 3
    # Also after its end: what a request asked for was done.
    engine.delete(f"/api/keys/{made.key_id}")
    ended = engine.post("/api/keys", json=body, headers=headers)
    assert (ended.status_code, ended.json()["revoked_at"] is not None) == (200, True)
