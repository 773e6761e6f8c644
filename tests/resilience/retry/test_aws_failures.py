"""Errors of the real botocore, raised by requests to the object store of the tests and to scripted servers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cqox.resilience import classify
from cqox.resilience.retry.aws_failures import classify_aws, response_fields
from cqox.resilience.retry.retry_after import retry_after_of
from tests.servers.object_store import ObjectStore
from tests.servers.ports import free_port

ROOT = Path(__file__).parents[3]

# It runs in the environment of the object store, which has botocore; AnyIO comes from the environment of the tests.
PROGRAM = """
import json, socket, sys, threading
sys.path += json.loads(sys.argv[1])
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from cqox.resilience import classify, is_network_error
from cqox.resilience.retry.retry_after import retry_after_of

store, closed = sys.argv[2], sys.argv[3]

def answers(*raw):
    server = socket.create_server(("127.0.0.1", 0))
    def serve():
        for answer in raw:
            connection, _ = server.accept()
            connection.recv(65536)
            if answer is not None:
                connection.sendall(answer)
                connection.close()
            else:
                held.append(connection)
    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}"

held = []

def response(status, body, *fields):
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close", *fields, "", body]
    return chr(10).join(lines).replace(chr(10), chr(13) + chr(10)).encode()

def xml(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"

def client(endpoint, service="s3", attempts=1, **options):
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=0.2, **options)
    return botocore.session.get_session().create_client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
        config=config,
    )

def put(endpoint, **options):
    client(endpoint, **options).put_object(Bucket="bucket", Key="key", Body=b"x")

def table(endpoint):
    client(endpoint, "dynamodb").list_tables()

slow = response(503, xml("SlowDown"))
throttled = json.dumps({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "m"})
cases = {
    "no bucket": lambda: put(store),
    "slow down": lambda: put(answers(slow)),
    "slow down, repeated": lambda: put(answers(slow, slow), attempts=2),
    "with a wait": lambda: put(answers(response(503, xml("SlowDown"), "x-amz-retry-after: 1500"))),
    "with Retry-After": lambda: put(answers(response(503, xml("ServiceUnavailable"), "Retry-After: 7"))),
    "throttled": lambda: table(answers(response(400, throttled, "Content-Type: application/x-amz-json-1.0"))),
    "internal": lambda: put(answers(response(500, xml("InternalError")))),
    "empty 502": lambda: put(answers(response(502, ""))),
    "denied": lambda: put(answers(response(403, xml("AccessDenied")))),
    "refused": lambda: put(closed),
    "hangs": lambda: put(answers(None)),
    "cut off": lambda: put(answers(b"")),
}
found = {}
for name, act in cases.items():
    try:
        act()
    except Exception as error:
        failure = classify(error)
        found[name] = [
            # Each service has classes of its own below it.
            "ClientError" if isinstance(error, ClientError) else type(error).__name__,
            failure.kind, failure.transient, failure.sent, failure.overload, failure.code,
            retry_after_of(error), is_network_error(error),
        ]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> Iterator[dict[str, list[Any]]]:
    store = ObjectStore()
    try:
        store.start()
        python = Path(sys.prefix) / "object-store/bin/python"
        arguments = [
            json.dumps([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]),
            store.endpoint,
            f"http://127.0.0.1:{free_port()}",
        ]
        finished = subprocess.run(
            [str(python), "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert finished.returncode == 0, finished.stderr
        yield json.loads(finished.stdout)
    finally:
        store.close()


@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("no bucket", ["ClientError", "http", False, "maybe", False, "NoSuchBucket", None, False]),
        ("slow down", ["ClientError", "http", True, "undone", True, "SlowDown", None, True]),
        ("slow down, repeated", ["ClientError", "http", True, "maybe", True, "SlowDown", None, True]),
        ("with a wait", ["ClientError", "http", True, "undone", True, "SlowDown", 1.5, True]),
        ("with Retry-After", ["ClientError", "http", True, "maybe", True, "ServiceUnavailable", 7.0, True]),
        ("throttled", ["ClientError", "http", True, "undone", True, "ThrottlingException", None, True]),
        ("internal", ["ClientError", "http", True, "maybe", False, "InternalError", None, True]),
        ("empty 502", ["ClientError", "http", True, "maybe", False, "502", None, True]),
        ("denied", ["ClientError", "http", False, "maybe", False, "AccessDenied", None, False]),
        ("refused", ["EndpointConnectionError", "http", True, "never", False, "", None, True]),
        ("hangs", ["ReadTimeoutError", "http", True, "maybe", True, "", None, True]),
        ("cut off", ["ConnectionClosedError", "http", True, "maybe", False, "", None, True]),
    ],
)
def test_an_error_of_botocore_is_classified(found: dict[str, list[Any]], case: str, expected: list[Any]) -> None:
    assert found[case] == expected


class Shaped(Exception):
    def __init__(self, response: object) -> None:
        super().__init__()
        self.response = response


@pytest.mark.parametrize(
    "response", [None, "text", {}, {"Error": None}, {"Error": {}}, {"Error": {"Code": 503}}, {"Error": ["Code"]}]
)
def test_another_shape_is_not_taken_for_an_error_of_aws(response: object) -> None:
    assert classify_aws(Shaped(response)) is None
    assert not classify(Shaped(response)).transient


@pytest.mark.parametrize("value", ["-5", "soon", "1.5", "", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_nonsense_wait_of_aws_is_no_wait(value: str) -> None:
    response = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPHeaders": {"x-amz-retry-after": value}}}
    assert response_fields(response) == {"x-amz-retry-after": value}
    assert retry_after_of(Shaped(response)) is None


@pytest.mark.parametrize(
    ("code", "status", "repeated", "expected"),
    [
        ("SlowDown", 503, 0, (True, "undone", True)),
        ("RequestLimitExceeded", 503, 0, (True, "undone", True)),
        ("RequestLimitExceeded", 503, 1, (True, "maybe", True)),
        ("ThrottlingException", 400, 0, (True, "undone", True)),
        ("TransactionInProgressException", 400, 0, (True, "undone", False)),
        ("PriorRequestNotComplete", 400, 0, (True, "maybe", True)),
        ("RequestTimeout", 400, 0, (True, "maybe", False)),
        ("Unheard", 429, 0, (True, "undone", True)),
        ("Unheard", 500, 0, (True, "maybe", False)),
        ("Unheard", 503, 0, (True, "maybe", True)),
        ("Unheard", 504, 0, (True, "maybe", True)),
        ("Unheard", 400, 0, (False, "maybe", False)),
        ("Unheard", None, 0, (False, "maybe", False)),
    ],
)
def test_a_code_comes_before_the_status_and_repetitions_take_the_proof_away(
    code: str, status: int | None, repeated: int, expected: tuple[bool, str, bool]
) -> None:
    metadata = {"HTTPStatusCode": status, "RetryAttempts": repeated}
    failure = classify(Shaped({"Error": {"Code": code}, "ResponseMetadata": metadata}))
    assert (failure.transient, failure.sent, failure.overload) == expected
    assert (failure.kind, failure.code) == ("http", code)
