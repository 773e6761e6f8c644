"""Credentials and certificates of the environment."""

import ssl
from pathlib import Path

import pytest

from cqox.certificates import current_version
from cqox.client.access_tokens import ClientCredentials
from cqox.client.address import given_once, server_at
from cqox.client.environment import context_of, of_environment
from cqox.errors import InvalidRequest
from tests.servers.certificates import authority_in

OURS = {"CQOX_URL": "https://cqox.example.com"}


def test_a_token_comes_before_a_key_and_a_key_before_a_client(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    client = {"CQOX_CLIENT_ID": "importer", "CQOX_CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    expected = ClientCredentials(client_id="importer", client_secret="from-a-file")
    assert of_environment(client) == (None, expected)
    named = of_environment(client | {"CQOX_CLIENT_SECRET": "direct", "CQOX_ISSUER": "https://id.example.com"})
    assert named[1] == ClientCredentials(client_id="importer", client_secret="direct", issuer="https://id.example.com")
    assert of_environment(client | {"CQOX_API_KEY": "key"}) == ("key", None)
    assert of_environment(client | {"CQOX_API_KEY": "key", "CQOX_TOKEN": "token"}) == ("token", None)
    assert of_environment({}) == (None, None)
    with pytest.raises(InvalidRequest, match="CQOX_CLIENT_SECRET"):
        of_environment({"CQOX_CLIENT_ID": "importer"})


def test_they_go_to_the_server_of_the_environment_alone() -> None:
    client = {"CQOX_CLIENT_ID": "importer", "CQOX_CLIENT_SECRET": "secret"}
    assert server_at(None, environ=OURS | client).grant is not None
    assert server_at("https://elsewhere.example.com", environ=OURS | client).grant is None
    assert server_at("https://a.example", environ=OURS | {"CQOX_API_KEY": "key"}).headers == {}
    assert server_at(None, environ=OURS | {"CQOX_API_KEY": "key"}).headers == {"Authorization": "Bearer key"}


def test_what_is_given_wins_and_only_one_may_be() -> None:
    given = ClientCredentials(client_id="mine", client_secret="secret")
    assert server_at(None, credentials=given, environ=OURS | {"CQOX_TOKEN": "token"}).grant is given
    assert given_once(None, "key") == given_once("key", None) == "key"
    with pytest.raises(InvalidRequest):
        given_once("token", "key")
    with pytest.raises(InvalidRequest):
        server_at("http://a", token="a", credentials=given, environ={})
    assert "secret" not in repr(server_at("http://a", credentials=given, environ={}))


def test_a_client_certificate_opens_a_server_that_demands_one(tmp_path: Path) -> None:
    authority = authority_in(tmp_path, "gateway", "analyst")
    mine, theirs = (current_version(authority.folder / name) for name in ("analyst", "gateway"))
    environ = {"CQOX_CLIENT_CERT": str(mine.cert), "CQOX_CLIENT_KEY": str(mine.key), "CQOX_CA_CERT": str(mine.ca)}
    demanding = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    demanding.load_cert_chain(theirs.cert, theirs.key)
    demanding.load_verify_locations(theirs.ca)
    demanding.verify_mode = ssl.CERT_REQUIRED
    made = context_of(environ)
    assert made is not None
    assert handshake(made, demanding) is None
    without = context_of({"CQOX_CA_CERT": str(mine.ca)})
    assert without is not None
    assert isinstance(handshake(without, demanding), ssl.SSLError)
    assert context_of({}) is None
    assert server_at("https://a.example", environ=environ).tls is not None
    assert server_at("https://a.example", environ=environ | OURS).tls is None
    assert server_at("http://a.example", environ=environ).tls is None


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> Exception | None:
    """Return the error of a handshake in memory; None where both sides accept each other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = [False, False]
    for _ in range(20):
        for number, side in enumerate(sides):
            try:
                side.do_handshake()
                done[number] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error
        if all(done):
            return None
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("name", ["CQOX_CLIENT_CERT", "CQOX_CA_CERT"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for file in ("no.pem", "missing.pem"):
        with pytest.raises(InvalidRequest, match=file):
            context_of({name: str(tmp_path / file)})
