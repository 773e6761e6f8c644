"""Addresses, tokens and fields of a server."""

from pathlib import Path

import pytest

from cqox.client.address import Server, server_at
from cqox.client.environment import read_token
from cqox.errors import InvalidRequest

ENVIRON = {"CQOX_URL": "https://cqox.example.com/", "CQOX_TOKEN": "secret"}


def test_an_address_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="3") as caught:
        server_at(3, environ=ENVIRON)  # type: ignore[arg-type]
    assert caught.value.field == "url"


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("http://localhost:8082", "http://localhost:8082"), (" https://a.example/cqox/ ", "https://a.example/cqox"),
        ("HTTP://[::1]:80", "HTTP://[::1]:80"),
    ],
)  # fmt: skip
def test_an_address_ends_without_a_slash(url: str, used: str) -> None:
    assert server_at(url, environ={}).url == used


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "CQOX_URL"), ("", "CQOX_URL"), ("localhost:8082", "http://localhost:8082"), ("ftp://a", "no address"),
        ("http://", "no address"), ("http://a:0", "no address"), ("http://a:99999", "no address"),
        ("http://a b/", "no address"), ("http://a\\b", "no address"), ("http://a\nHost: b", "no address"),
        ("http://[::1", "no address"), ("http://a?x=1", "before '?'"), ("http://a/#", "before '?'"),
    ],
)  # fmt: skip
def test_what_is_no_address_says_how_one_looks(url: str | None, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why.replace("?", r"\?")) as caught:
        server_at(url, environ={})
    assert caught.value.field == "url"


@pytest.mark.parametrize("url", ["http://me:secret@host", "ftp://me:secret@host", "http://me:secret@host:0"])
def test_a_password_in_an_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        server_at(url, environ={})
    assert "secret" not in str(caught.value)


def test_the_environment_names_the_server_and_its_token() -> None:
    server = server_at(None, environ=ENVIRON)
    assert (server.url, server.headers) == ("https://cqox.example.com", {"Authorization": "Bearer secret"})
    assert "secret" not in repr(server)


@pytest.mark.parametrize(
    ("url", "environ", "sent"),
    [
        ("https://cqox.example.com:443/other", ENVIRON, True), ("http://cqox.example.com", ENVIRON, False),
        ("https://elsewhere.example.com", ENVIRON, False), ("https://a.example", {"CQOX_TOKEN": "secret"}, True),
        ("https://a.example", {}, False),
    ],
)  # fmt: skip
def test_a_token_of_the_environment_goes_to_no_other_server(url: str, environ: dict[str, str], sent: bool) -> None:
    assert ("Authorization" in server_at(url, environ=environ).headers) == sent


def test_a_token_that_is_given_wins() -> None:
    assert server_at(None, token="mine", environ=ENVIRON).headers == {"Authorization": "Bearer mine"}
    with pytest.raises(InvalidRequest, match="one of token="):
        server_at("http://a", token="mine", headers={"authorization": "Basic x"}, environ={})


@pytest.mark.parametrize("token", ["a\nb", "ä", " ", "a\r"])
def test_a_token_that_no_field_can_hold_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(InvalidRequest, match="'token' holds characters"):
        server_at("http://a", token=token, environ={})


@pytest.mark.parametrize(("name", "value"), [("X Y", "1"), ("", "1"), ("X-Y", "1\n2"), ("X:", "1")])
def test_a_field_that_http_does_not_allow_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest):
        server_at("http://a", headers={name: value}, environ={})


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_timeout_is_positive(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        server_at("http://a", timeout=timeout, environ={})


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost:1", True), ("http://a.localhost", True), ("http://127.0.0.2", True), ("http://[::1]", True),
        ("http://10.0.0.1", False), ("https://localhost.example.com", False),
    ],
)  # fmt: skip
def test_this_machine_is_known(url: str, loopback: bool) -> None:
    assert Server(url=url).is_loopback == loopback
    assert Server(url=url).is_secure == url.startswith("https")


def test_the_environment_may_name_a_file_with_the_token(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    environ = {"CQOX_URL": "https://cqox.example.com", "CQOX_TOKEN_FILE": str(tmp_path / "key")}
    assert server_at(None, environ=environ).headers == {"Authorization": "Bearer secret"}
    assert server_at("https://elsewhere.example.com", environ=environ).headers == {}
    assert server_at(None, environ=environ | {"CQOX_TOKEN": "mine"}).headers == {"Authorization": "Bearer mine"}


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", "鍵".encode(), b"a" * 9000, None])
def test_a_file_without_a_token_is_refused_by_its_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"key cannot be used"):
        read_token(file)
