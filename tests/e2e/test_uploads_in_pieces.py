"""Uploads in pieces through gateway and engine: broken connections, killed engines, and what does not fit."""

import hashlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cqox.contract import UploadState
from services.http.request.digests import content_digest
from tests.e2e.stack import Service, Stack, build
from tests.waiting import wait_until

CONTENT = b"id,w,y\n" + b"".join(b"%d,%d,%d\n" % (number, number % 2, number * 7 % 13) for number in range(4000))
PIECE = {"Content-Type": "application/offset+octet-stream"}
CUT = 20_000


def begun(api: httpx.Client, content: bytes = CONTENT, **more: object) -> str:
    answer = api.post("/api/uploads", json={"name": "売上.csv", "size_bytes": len(content), **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/api/uploads/{UploadState.model_validate(answer.json()).upload_id}"
    return answer.headers["Location"]


def sent(api: httpx.Client, path: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    return api.patch(path, content=data, headers={**PIECE, "Upload-Offset": str(offset), **headers})


def offset_of(api: httpx.Client, path: str) -> int:
    answer = api.head(path)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def half_a_piece(service: Service, path: str, offset: int, data: bytes) -> socket.socket:
    """Announce a piece and send a part of it; the connection stays open."""
    connection = socket.create_connection(("127.0.0.1", service.port))
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {PIECE['Content-Type']}\r\n"
        f"Upload-Offset: {offset}\r\nContent-Length: {len(data) + 1000}\r\n\r\n"
    )
    connection.sendall(head.encode() + data)
    return connection


def has_begun(stack_folder: Path, path: str, more_than: int) -> bool:
    return (stack_folder / "partial" / path.rpartition("/")[2] / "content").stat().st_size > more_than


def data_of(stack: Stack) -> Path:
    return Path(stack.engine.environment["CQOX_DATA_DIR"])


def test_pieces_become_the_data_set_of_the_whole_file(api: httpx.Client) -> None:
    path = begun(api, fingerprint="4000 rows")
    first = sent(api, path, 0, CONTENT[:CUT], **{"Content-Digest": content_digest(CONTENT[:CUT])})
    assert (first.status_code, first.headers["Upload-Offset"]) == (200, str(CUT))
    assert UploadState.model_validate(first.json()).fingerprint == "4000 rows"
    early = api.post(f"{path}/dataset", json={})
    assert (early.status_code, early.json()["offset"], early.headers["Upload-Offset"]) == (409, CUT, str(CUT))
    # The answer was lost, and the piece comes again.
    again = sent(api, path, 0, CONTENT[:CUT])
    assert (again.status_code, again.json()["type"], again.json()["offset"]) == (409, "upload-conflict", CUT)
    assert sent(api, path, CUT, CONTENT[CUT:]).json()["offset"] == len(CONTENT)
    answer = api.post(f"{path}/dataset", json={})
    assert (answer.status_code, answer.json()["name"]) == (201, "売上.csv")
    whole = api.post("/api/datasets", params={"name": "売上.csv"}, content=CONTENT)
    assert answer.json() == whole.json()
    assert answer.headers["Location"] == whole.headers["Location"]
    assert answer.json()["dataset_id"] == hashlib.blake2b(CONTENT, digest_size=16).hexdigest()
    assert api.post(f"{path}/dataset", json={}).json() == whole.json()
    assert api.get(path).json()["dataset_id"] == whole.json()["dataset_id"]
    assert api.get(f"/api/datasets/{whole.json()['dataset_id']}/sheets").json()["original"]
    assert (api.delete(path).status_code, api.get(path).status_code) == (204, 404)


def test_a_connection_that_breaks_in_mid_piece_loses_nothing_acknowledged(stack: Stack, api: httpx.Client) -> None:
    path = begun(api)
    sent(api, path, 0, CONTENT[:CUT])
    connection = half_a_piece(stack.gateway, path, CUT, b"x" * 100_000)
    connection.close()
    wait_until(lambda: sent(api, path, CUT, CONTENT[CUT:]).status_code == 200)
    assert api.post(f"{path}/dataset", json={}).status_code == 201


def test_an_engine_that_is_killed_goes_on_with_what_it_has_acknowledged(own_stack: Stack) -> None:
    own_stack.engine.start()
    own_stack.gateway.start()
    own_stack.engine.wait_ready()
    own_stack.gateway.wait_ready()
    with own_stack.client() as api:
        content = CONTENT + b"".join(b"%d,1,1\n" % number for number in range(400_000))
        path, cut = begun(api, content), 2_000_000
        assert sent(api, path, 0, content[:cut]).status_code == 200
        # Killed between two pieces, and in the middle of the second one.
        own_stack.engine.kill()
        own_stack.engine.start()
        own_stack.engine.wait_ready()
        wait_until(lambda: api.get(path).status_code == 200)
        assert offset_of(api, path) == cut
        with half_a_piece(own_stack.engine, path, cut, b"x" * 2_000_000):
            wait_until(lambda: has_begun(data_of(own_stack), path, cut))
            own_stack.engine.kill()
        own_stack.engine.start()
        own_stack.engine.wait_ready()
        assert wait_until(lambda: sent(api, path, cut, content[cut:]).status_code == 200)
        answer = api.post(f"{path}/dataset", json={})
        assert answer.json()["dataset_id"] == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_of_two_that_write_at_once_one_goes_on(stack: Stack, api: httpx.Client) -> None:
    large = begun(api, b"x" * 4_000_000)
    with half_a_piece(stack.gateway, large, 0, b"x" * 3_000_000):
        wait_until(lambda: has_begun(data_of(stack), large, 0))
        answer = sent(api, large, 0, b"y")
        assert (answer.status_code, answer.json()["offset"]) == (409, 0)
        assert answer.json()["messages"]["/detail"]["code"] == "storage.upload-is-written"
    wait_until(lambda: sent(api, large, 0, b"x").status_code == 200)
    path = begun(api)
    assert sent(api, path, 0, CONTENT[:CUT]).status_code == 200
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sent(api, path, CUT, CONTENT[CUT:]).status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7
    assert api.post(f"{path}/dataset", json={}).status_code == 201


def test_a_changed_piece_counts_for_nothing(api: httpx.Client) -> None:
    path = begun(api)
    answer = sent(api, path, 0, CONTENT[:CUT], **{"Content-Digest": content_digest(CONTENT[1 : CUT + 1])})
    assert (answer.status_code, answer.json()["type"]) == (400, "content-digest-mismatch")
    assert offset_of(api, path) == 0


def test_what_does_not_fit_is_refused_in_both_languages(api: httpx.Client) -> None:
    path = begun(api)
    refused = [
        (api.post("/api/uploads", json={"name": "a", "size_bytes": 2**40}), 413, "limit-exceeded"),
        (api.post("/api/uploads", json={"name": "a", "size_bytes": 0}), 400, "invalid-request"),
        (api.post("/api/uploads", json={"name": "a"}), 400, "invalid-request"),
        (sent(api, path, 0, CONTENT + b"more"), 413, "limit-exceeded"),
        (sent(api, path, 0, bytes(9 * 2**20)), 413, "limit-exceeded"),
        (sent(api, path, 0, b"a", **{"Upload-Offset": "-1"}), 400, "invalid-request"),
        (sent(api, path, 0, b"a", **{"Upload-Offset": "1, 2"}), 400, "invalid-request"),
        (api.patch(path, content=b"a", headers=PIECE), 400, "invalid-request"),
        (sent(api, path, 0, b"a", **{"Content-Type": "text/csv"}), 415, "unsupported-media-type"),
        (sent(api, path, 5, b"a"), 409, "upload-conflict"),
        (api.post(f"{path}/dataset", json={"headers": 1}), 400, "invalid-request"),
        (api.post(f"{path}/dataset", content=b"{}"), 415, "unsupported-media-type"),
        *((api.request(method, f"/api/uploads/{given}"), 404, "not-found")
          for method in ("GET", "DELETE") for given in ("0" * 32, "a%00", "あ")),
        (sent(api, f"/api/uploads/{'0' * 32}", 0, b"a"), 404, "not-found"),
        (api.post(f"/api/uploads/{'0' * 32}/dataset", json={}), 404, "not-found"),
    ]  # fmt: skip
    for answer, status, kind in refused:
        assert (answer.status_code, answer.json()["type"]) == (status, kind), answer.text
    assert offset_of(api, path) == 0
    japanese = api.post(f"{path}/dataset", json={}, params={"lang": "ja"}).json()
    assert "先に送信する" in japanese["detail"]


def test_a_name_is_cleaned_as_that_of_an_upload(api: httpx.Client) -> None:
    path = begun(api, name="../a\0b\u202e/売\0上.csv")
    assert api.get(path).json()["name"] == "売上.csv"


def test_an_upload_expires_and_a_stalled_piece_is_refused(tmp_path: Path) -> None:
    made = build(tmp_path, CQOX_UPLOAD_IDLE_SECONDS="1")
    made.engine.start()
    made.gateway.start()
    try:
        made.engine.wait_ready()
        made.gateway.wait_ready()
        with made.client() as api:
            path = begun(api)
            sent(api, path, 0, CONTENT[:CUT])
            with half_a_piece(made.gateway, path, CUT, b"x" * 1000) as connection:
                connection.settimeout(30)
                assert connection.recv(4096).startswith(b"HTTP/1.1 408")
            wait_until(lambda: sent(api, path, CUT, CONTENT[CUT:]).status_code == 200)
            place = data_of(made) / "partial" / path.rpartition("/")[2]
            long_ago = time.time() - 90_000
            os.utime(place / "offset", (long_ago, long_ago))
            assert api.post(f"{path}/dataset", json={}).status_code == 404
            made.engine.stop()
            made.engine.start()
            made.engine.wait_ready()
            wait_until(lambda: not place.exists())
    finally:
        made.gateway.kill()
        made.engine.kill()


@pytest.mark.parametrize("shared", [True, False])
def test_pieces_reach_the_engine_that_holds_the_upload(tmp_path: Path, shared: bool) -> None:
    first = build(tmp_path)
    second = build(tmp_path if shared else tmp_path / "other")
    (tmp_path / "other").mkdir()
    second.engine.log_path = tmp_path / "second.log"
    first.gateway.environment["ENGINE_URL"] = f"{first.engine.url},{second.engine.url}"
    services = [first.engine, second.engine, first.gateway]
    for service in services:
        service.start()
    try:
        for service in services:
            service.wait_ready()
        with first.client() as api:
            path = begun(api)
            for start in range(0, len(CONTENT), CUT):
                assert sent(api, path, start, CONTENT[start : start + CUT]).status_code == 200
            assert sent(api, path, 0, b"a").status_code == 409
            answer = api.post(f"{path}/dataset", json={})
            assert answer.status_code == 201
            for _ in range(4):
                again = api.post(f"/api/datasets/{answer.json()['dataset_id']}/read", json={"header_row": 2})
                assert again.status_code == 201 if shared else again.status_code in (201, 404)
            assert sent(api, f"/api/uploads/{'0' * 32}", 0, b"a").status_code == 404
            assert (api.delete(path).status_code, api.delete(path).status_code) == (204, 404)
    finally:
        for service in services:
            service.kill()
