"""Data keys of one tenant in a process: asked for once, renewed, and still there while the key ring is away."""

import threading
from pathlib import Path

import pytest

from cqox.encryption import DataKey, SealBroken, Sealer
from cqox.encryption.file_keyring import FileKeyRing
from cqox.encryption.keyring import KeysUnavailable
from cqox.encryption.sealed_stream import wrapped_key_of
from cqox.errors import StoreUnavailable
from tests.waiting import PATIENCE_SECONDS


class Ring(FileKeyRing):
    """A key ring that counts, and that can be away."""

    away = False
    asked = 0
    wait = staticmethod(lambda: None)

    def _count(self) -> None:
        self.asked += 1
        self.wait()
        if self.away:
            raise KeysUnavailable("sealed")

    def new_data_key(self, tenant_id: str) -> DataKey:
        self._count()
        return super().new_data_key(tenant_id)

    def unwrap(self, tenant_id: str, wrapped: bytes) -> bytes:
        self._count()
        return super().unwrap(tenant_id, wrapped)

    def is_current(self, tenant_id: str, wrapped: bytes) -> bool:
        self._count()
        return super().is_current(tenant_id, wrapped)


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return Ring(tmp_path / "keyring.json")


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_what_is_sealed_is_opened_by_another_process_and_by_no_other_tenant(ring: Ring) -> None:
    sealed = Sealer(ring, "acme").seal(b"plain", "report/1")
    assert Sealer(ring, "acme").open(sealed, "report/1") == b"plain"
    with pytest.raises(SealBroken):
        Sealer(ring, "acme").open(sealed, "report/2")
    with pytest.raises(StoreUnavailable, match="no longer has"):
        Sealer(ring, "other").open(sealed, "report/1")


def test_a_ring_is_asked_once_for_many_objects(ring: Ring) -> None:
    sealer = Sealer(ring, "acme")
    sealed = [sealer.seal(b"x", "a") for _ in range(50)]
    assert ring.asked == 1
    reader = Sealer(ring, "acme")
    assert [reader.open(each, "a") for each in sealed] == [b"x"] * 50
    assert ring.asked == 2


def test_an_absent_ring_stops_nothing_that_is_in_use(ring: Ring) -> None:
    clock = Clock()
    sealer = Sealer(ring, "acme", now=clock)
    sealed = sealer.seal(b"x", "a")
    ring.away = True
    clock.at = 100_000.0
    assert sealer.open(sealed, "a") == b"x"
    again = sealer.seal(b"y", "a")
    assert wrapped_key_of(again) == wrapped_key_of(sealed)
    asked = ring.asked
    sealer.seal(b"z", "a")
    assert ring.asked == asked
    for call in (lambda: Sealer(ring, "acme").open(sealed, "a"), lambda: Sealer(ring, "acme").seal(b"x", "a")):
        with pytest.raises(StoreUnavailable, match="sealed"):
            call()
    ring.away = False
    clock.at += 61.0
    assert wrapped_key_of(sealer.seal(b"x", "a")) != wrapped_key_of(sealed)


def test_a_rotation_is_noticed_within_a_minute_and_a_data_key_lasts_an_hour(ring: Ring) -> None:
    clock = Clock()
    sealer = Sealer(ring, "acme", now=clock)
    first = sealer.data_key()
    ring.rotate("acme")
    clock.at = 59.0
    assert sealer.data_key() == first
    clock.at = 61.0
    second = sealer.data_key()
    assert second != first
    assert sealer.is_current(second.wrapped)
    assert not sealer.is_current(first.wrapped)
    clock.at = 3_600.0
    assert sealer.data_key() == second
    clock.at = 3_700.0
    assert sealer.data_key() != second
    assert sealer.key_of(first.wrapped) == first.plain


def test_a_ring_that_does_not_answer_keeps_nobody_waiting_for_what_is_known(ring: Ring) -> None:
    clock = Clock()
    sealer = Sealer(ring, "acme", now=clock)
    known, unknown = sealer.seal(b"x", "a"), Sealer(ring, "acme").seal(b"y", "a")
    asked, go_on = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        asked.release()
        assert go_on.wait(PATIENCE_SECONDS)

    ring.wait = wait
    clock.at = 61.0
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(sealer.open(unknown, "a"))),
        threading.Thread(target=lambda: found.append(sealer.seal(b"z", "a"))),
    ]
    for thread in threads:
        thread.start()
        assert asked.acquire(timeout=PATIENCE_SECONDS)
    # Both wait for the ring, and neither holds up the others.
    assert sealer.open(known, "a") == b"x"
    assert wrapped_key_of(sealer.seal(b"x", "a")) == wrapped_key_of(known)
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert len(found) == 2
    assert b"y" in found
