import socket
import ssl
from pathlib import Path

import httpx
import pytest
from quart_trio.wrappers import TrioResponse

from cqox.errors import NotFound
from services.config.settings import Settings
from services.http.endpoints.docs import add_docs
from services.http.request.propagation import EXCHANGE
from services.http.response.headers import headers_of_refusal
from services.http.server.app import App

CERTIFICATE = Path(__file__).parents[2] / "gateway" / "localhost.pem"
HSTS = "Strict-Transport-Security"


@pytest.fixture
def app():
    made = App(__name__, title="Gateway", settings=Settings())

    @made.get("/data")
    async def data():
        return {"rows": [1]}

    @made.get("/figure")
    async def figure():
        return TrioResponse("<svg/>", headers={"Cache-Control": "private, max-age=1"})

    @made.get("/missing")
    async def missing():
        raise NotFound("not here")

    @made.get("/broken")
    async def broken():
        raise RuntimeError

    add_docs(made)
    return made


@pytest.mark.trio
@pytest.mark.parametrize("path", ["/data", "/missing", "/broken", "/nowhere", "/"])
async def test_what_is_answered_is_kept_by_no_cache(app, path):
    answer = await app.test_client().get(path)
    assert answer.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.trio
@pytest.mark.parametrize(("path", "said"), [("/figure", "private, max-age=1"), ("/docs", "no-cache")])
async def test_an_answer_that_says_who_may_keep_it_stays_as_it_is(app, path, said):
    answer = await app.test_client().get(path)
    assert answer.headers.getlist("Cache-Control") == [said]


@pytest.mark.trio
@pytest.mark.parametrize("path", ["/data", "/missing", "/docs"])
async def test_strict_transport_security_is_sent_over_tls_and_only_there(app, path):
    client = app.test_client()
    assert HSTS not in (await client.get(path)).headers
    assert (await client.get(path, scheme="https")).headers[HSTS] == "max-age=31536000"


@pytest.mark.trio
async def test_a_gateway_is_sent_no_headers_for_browsers_which_it_sets_itself(app):
    client, exchange = app.test_client(), {EXCHANGE: "0" * 32}
    for_browsers = {
        *("x-content-type-options", "content-security-policy", "cross-origin-resource-policy"),
        *("referrer-policy", "strict-transport-security"),
    }
    direct = await client.get("/data", scheme="https")
    assert for_browsers <= {name.lower() for name, _ in direct.headers}
    relayed = await client.get("/data", scheme="https", headers=exchange)
    assert not for_browsers & {name.lower() for name, _ in relayed.headers}
    assert relayed.headers.getlist("Cache-Control") == ["no-store"]
    assert (await client.get("/figure", headers=exchange)).headers.getlist("Cache-Control") == ["private, max-age=1"]


def test_a_refusal_has_the_same_headers():
    assert (b"cache-control", b"no-store") in headers_of_refusal("id", 1)
    assert HSTS.lower().encode() not in dict(headers_of_refusal("id", 1))
    assert dict(headers_of_refusal("id", 1, secure=True))[HSTS.lower().encode()] == b"max-age=31536000"


def test_a_gateway_that_speaks_tls_says_so_in_answers_and_refusals(start):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = start(
        "-m", "hypercorn", "-k", "trio", "-w", "1", "--bind", f"127.0.0.1:{port}",
        "--certfile", str(CERTIFICATE), "--keyfile", str(CERTIFICATE), "services.gateway.app:app",
    )  # fmt: skip
    service.wait_line("Running on https://")
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    health = httpx.get(f"https://localhost:{port}/api/health", verify=context, trust_env=False)
    assert health.headers[HSTS] == "max-age=31536000"
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as one:
            one.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"strict-transport-security: max-age=31536000" in one.recv(65536)
    service.stop()
