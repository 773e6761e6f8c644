import json

import pytest

from cqox.vault import VaultRejected, VaultUnavailable
from cqox.vault.answers import parse


def errors(*texts: object) -> bytes:
    return json.dumps({"errors": list(texts)}).encode()


def test_members_of_an_answer() -> None:
    assert parse("x", 200, b'{"data": {"a": 1}}') == {"data": {"a": 1}}
    assert parse("x", 204, b"") == {}


def test_a_sealed_vault_is_an_outage() -> None:
    for content in (errors("Vault is sealed"), b'{"errors": ["OpenBao is sealed"]}', b'{"sealed": true}'):
        with pytest.raises(VaultUnavailable, match=r"^it is sealed$") as raised:
            parse("x", 503, content)
        assert raised.value.is_outage


@pytest.mark.parametrize(
    ("status", "is_outage"), [(429, True), (472, True), (502, True), (504, True), (500, False), (501, False)]
)
def test_a_failure_says_whether_other_requests_fail_too(status: int, is_outage: bool) -> None:
    with pytest.raises(VaultUnavailable, match=f"it answers {status}; why") as raised:
        parse("x", status, errors("why"))
    assert raised.value.is_outage is is_outage


def test_a_failure_needs_no_body() -> None:
    for content in (b"", b"<html>", b"[]", b"{}", b'{"errors": 5}'):
        with pytest.raises(VaultUnavailable, match=r"it answers 502$"):
            parse("x", 502, content)


def test_a_rejection_has_the_sentences_of_the_vault() -> None:
    with pytest.raises(VaultRejected, match=r"^some/path: one; two three$") as raised:
        parse("some/path", 400, errors("one", "two\n\tthree", "", 5))
    assert (raised.value.status, raised.value.errors) == (400, ("one", "two three"))
    with pytest.raises(VaultRejected, match="there is nothing at this path"):
        parse("some/path", 404, errors())


def test_a_secret_that_was_deleted_is_not_there() -> None:
    with pytest.raises(VaultRejected, match="there is nothing at this path"):
        parse("some/path", 404, b'{"request_id": "x", "data": {"data": null}}')


def test_a_long_rejection_is_shortened() -> None:
    with pytest.raises(VaultRejected) as raised:
        parse("x", 400, errors(*["y" * 1000] * 10))
    assert raised.value.errors == ("y" * 200,) * 3


@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"<html>"), (200, b"[]"), (404, b"Not Found"), (400, b"{}"), (302, b""), (200, b"[" * 10**5)],
)
def test_another_server_is_no_vault(status: int, content: bytes) -> None:
    with pytest.raises(VaultUnavailable, match="no vault"):
        parse("x", status, content)
