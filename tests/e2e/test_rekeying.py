"""`cqox rekey` on whole services: plain data are sealed, keys are replaced while an engine serves, and the way back."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from cqox.storage.objects import ObjectStoreAddress, ObjectVolume
from tests.e2e.engines import Engines, analyze
from tests.e2e.planted import check_reading, cqox_of, found_in, started, work
from tests.e2e.stack import Service, build
from tests.e2e.test_object_store import Apart, body_of, upload
from tests.servers import ObjectStore, Postgres, running
from tests.servers.object_store import KEYS


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with running(ObjectStore()) as server:
        yield server


def test_what_was_plain_is_sealed_by_a_command_and_plain_again_by_another(tmp_path: Path) -> None:
    stack = build(tmp_path)
    with started(stack), stack.client() as client:
        report = work(client)
    data = tmp_path / "data"
    assert set(found_in(data)) >= {"results.sqlite"}
    stack.engine.environment["CQOX_KEYS"] = "file"
    # Uploads in pieces stay as they are for a day.
    shutil.rmtree(data / "partial")
    done = cqox_of(stack, "rekey")
    assert done.returncode == 0, done.stdout + done.stderr
    assert found_in(data) == {}
    with started(stack), stack.client() as client:
        check_reading(client, report)
        # Also while an engine serves.
        done = cqox_of(stack, "rekey", "--rotate")
        assert done.returncode == 0, done.stdout + done.stderr
        check_reading(client, report)
    assert "0 rows" not in done.stdout
    again = cqox_of(stack, "rekey")
    assert "default: 0 data sets and 0 rows written again." in again.stdout
    assert found_in(data) == {}
    done = cqox_of(stack, "rekey", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    stack.engine.environment["CQOX_KEYS"] = "none"
    with started(stack), stack.client() as client:
        check_reading(client, report)
    refused = cqox_of(stack, "rekey")
    assert refused.returncode == 2
    assert "CQOX_KEYS is none" in refused.stderr


@pytest.mark.xdist_group("servers")
@pytest.mark.timeout(300)
def test_objects_are_sealed_under_new_keys_while_two_engines_serve(
    engines: Engines, tmp_path: Path, object_store: ObjectStore, postgres: Postgres
) -> None:
    apart = Apart(engines, tmp_path, object_store.bucket(versions=True), object_store.endpoint, postgres.fresh())
    plain = apart.start("one")
    plain.wait_ready()
    content = b"id,w,zanzibar\n" + b"".join(b"%d,%d,%d\n" % (row, row % 2, row % 7) for row in range(200))
    dataset_id = upload(plain, content).json()["dataset_id"]
    mapping = {"unit_id": "id", "treatment": "w", "y": "zanzibar"}
    body = body_of(dataset_id) | {"mapping": mapping}
    effect = analyze(plain, body).json()["estimates"][0]["estimate"]
    assert plain.stop() == 0
    sealed = {"CQOX_KEYS": "file", "CQOX_KEY_RING": str(tmp_path / "ring/keyring.json")}
    (tmp_path / "ring").mkdir()
    pair = [apart.start(name, **sealed) for name in ("one", "other")]
    for engine in pair:
        engine.wait_ready()

    def rekey(*arguments: str) -> str:
        settings = {**apart.environment, **sealed, "CQOX_DATA_DIR": str(apart.folder("of the command"))}
        program = Path(sys.executable).with_name("cqox")
        done = subprocess.run(
            [program, "rekey", *arguments], env={**os.environ, **settings}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    is_done, effects = Event(), list[float]()

    def read_on(engine: Service) -> int:
        count = 0
        while count < 2 or not is_done.is_set():
            # Another seed is another analysis, which reads the table again.
            options = {"estimators": ["difference_in_means"], "seed": count}
            answer = analyze(engine, body | {"options": options})
            assert answer.status_code == 200, answer.text
            effects.append(answer.json()["estimates"][0]["estimate"])
            count += 1
        return count

    with ThreadPoolExecutor(2) as threads:
        reading = [threads.submit(read_on, engine) for engine in pair]
        try:
            said = [rekey(), rekey("--rotate"), rekey("--rotate")]
        finally:
            is_done.set()
    assert all(each.result() >= 2 for each in reading)
    assert set(effects) == {effect}
    assert not [each for each in said if "default: 0 data sets" in each], said
    for engine in pair:
        assert engine.stop() == 0
    # What they wrote last may be under the key of before.
    rekey()
    assert "default: 0 data sets and 0 rows written again." in rekey()
    versions = object_store.versions(apart.bucket)
    kept = [key for key in versions if dataset_id in key and "/used/" not in key]
    assert len(kept) == len(set(kept))
    address = ObjectStoreAddress(bucket=apart.bucket, endpoint=object_store.endpoint, keys=KEYS)
    objects = ObjectVolume.open(address, tmp_path, copies_bytes=0).objects
    stored = [content[0] for info in objects.list("of/") if (content := objects.get(info.key)) is not None]
    assert len(stored) > len(kept)
    assert not any(b"zanzibar" in each or b"rows.csv" in each for each in stored)
    assert not any(
        b"zanzibar" in path.read_bytes() for path in apart.folder("of the command").rglob("*") if path.is_file()
    )
