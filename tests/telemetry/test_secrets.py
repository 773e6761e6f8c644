"""No password and no token in a log line, a log record or a span, wherever it comes from."""

import json
import logging
import subprocess
import sys
import time

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from cqox.telemetry import span
from cqox.telemetry.log_records import OtlpHandler
from cqox.telemetry.secrets import is_secret_name, masked
from cqox.telemetry.settings import settings_from
from services.config.configuration import SettingsError, load
from tests.recorded import Kept
from tests.telemetry.conftest import Services

SECRETS = [
    ("redis://:hunter2@cache:6379/0 is away", "redis://:***@cache:6379/0 is away"),
    ("postgresql://cqox:hunter2@db:5432/x", "postgresql://cqox:***@db:5432/x"),
    ("postgresql://cqox:hun/ter2@x@db/x?y=z", "postgresql://cqox:***@db/x?y=z"),
    ("host=db user=cqox password=hunter2 dbname=x", "host=db user=cqox password=*** dbname=x"),
    ("password='hunter 2' host=db", "password=*** host=db"),
    ("Authorization: Bearer hunter2.hunter2", "Authorization: Bearer ***"),
    ("https://u:hunter2@a/, https://v:hunter2@b/", "https://u:***@a/, https://v:***@b/"),
    ("https://hunter2@a/x and https://u:8080@a/", "https://***@a/x and https://u:***@a/"),
    ("Cookie: a=hunter2; b=hunter2", "Cookie: ***"),
    ("Set-Cookie: a=hunter2; HttpOnly", "Set-Cookie: ***"),
    ("Proxy-Authorization: Digest hunter2=x, y=z", "Proxy-Authorization: Digest ***"),
    ("authorization: Basic aHVudGVyMg==\nHost: a", "authorization: Basic ***\nHost: a"),
    ("X-Api-Key: hunter2", "X-Api-Key: ***"),
    ("x-whatever-token:hunter2", "x-whatever-token:***"),
    ("{'Cookie': 'a=hunter2; b=1', 'Host': 'h'}", "{'Cookie': ***, 'Host': 'h'}"),
    ("[(b'cookie', b'a=hunter2; b=1'), (b'host', b'h')]", "[(b'cookie', ***), (b'host', b'h')]"),
    ("{'set-cookie': ['a=hunter2', 'b=hunter2']}", "{'set-cookie': ***]}"),
    ('{"password": "hun\\"hunter2", "x": 1}', '{"password": ***, "x": 1}'),
    (r"{\"token\": \"hunter2\"}", r"{\"token\": ***"),
    ("GET /x?token=hunter2&y=1#z", "GET /x?token=***&y=1#z"),
    ("GET /x?key=hunter2&Access_Token=hunter2", "GET /x?key=***&Access_Token=***"),
    ("CQOX_ADMIN_TOKEN=hunter2", "CQOX_ADMIN_TOKEN=***"),
    ("password = hunter2,hunter2 x", "password = *** x"),
    ("password: hunter2", "password: ***"),
    ("password='hunter2 hunter2", "password=***"),
    ("cookie=a=hunter2; b=hunter2", "cookie=***"),
    ("session=hunter2", "session=***"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJodW50ZXIyIjoxfQ.abc is refused", "*** is refused"),
    ("Basic aHVudGVyMg==", "Basic ***"),
    ("GET /s/cqox_share_hunter2-_A 404", "GET /s/*** 404"),
    ("Share-Token: cqox_share_hunter2", "Share-Token: ***"),
    ("\u0130\u0130 token=hunter2", "\u0130\u0130 token=***"),
]


@pytest.mark.parametrize(("text", "safe"), SECRETS)
def test_passwords_and_tokens_are_masked(text: str, safe: str) -> None:
    assert masked(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "[Gateway] Received signal SIGTERM, initiating shutdown...",
        "[Retry] Attempt 1/3 failed: All connection attempts failed Retrying in 1.23s...",
        "Circuit breaker OPEN for _call_engine_analyze",
        "Listening on http://127.0.0.1:8082, http://[::1]:8082",
        "http://127.0.0.1:8080/files/a@b",
        "GET /api/datasets/user:name@host 404",
        "a password must be given; token refused; bearer of news",
        "z = y@x",
        "if token == expected:",
        "Idempotency-Key: abc; key=abc; analysis_key=12",
        "Basic functionality; a cookie; authorization is needed",
        "postgresql://cqox@postgres:5432/cqox",
    ],
)
def test_what_holds_none_is_not_touched(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "part",
    ["token=", "token='", 'token="', "cookie: ", "'cookie', [", "x-", "://a:", "basic a", "password ", "eyJ", "-key"],
)
def test_the_time_that_it_takes_grows_with_the_length_of_the_text(part: str) -> None:
    def seconds(length: int) -> float:
        text = f"@{part * length}"[:length]
        began = time.thread_time()
        masked(text)
        return time.thread_time() - began

    # Were it the square, this would be 1,024 times as long.
    assert min(seconds(64_000) for _ in range(3)) < 320 * max(min(seconds(2_000) for _ in range(3)), 1e-4)


@pytest.mark.parametrize("name", ["password", "Cookie", "set-cookie", "X-Api-Key", "api_key", "ADMIN_TOKEN", "jwt"])
def test_a_field_whose_name_says_that_it_is_secret_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["key", "tokens", "analysis_key", "event", "cookies_seen", "path", "x-request-id"])
def test_other_fields_are_none(name: str) -> None:
    assert not is_secret_name(name)


PROGRAM = """
import logging, structlog
from services.http.observability.logs import set_up_logging
set_up_logging(level="info", format="{format}", service="engine")
log = structlog.stdlib.get_logger("ours")
addresses = ["postgresql://cqox:hunter2@db/x", 1, dict(a=ValueError("password=hunter2"))]
log.warning("redis://:hunter2@cache:6379/0 is away", addresses=addresses)
try:
    raise OSError("cannot connect: host=db password=hunter2")
except OSError:
    logging.getLogger("theirs").exception("failed")
"""


@pytest.mark.parametrize("format", ["console", "json"])
def test_no_line_of_a_log_holds_a_password(format: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{format}", format)], capture_output=True, text=True, check=True
    )
    assert "hunter2" not in run.stdout
    assert "redis://:***@cache:6379/0 is away" in run.stdout
    assert "password=***" in run.stdout
    if format == "json":
        first, second = map(json.loads, run.stdout.splitlines())
        assert first["addresses"] == ["postgresql://cqox:***@db/x", 1, {"a": "ValueError('password=***')"}]
        assert second["level"] == "error"


def test_no_log_record_holds_a_password() -> None:
    exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = OtlpHandler(provider.get_logger("test"))
    try:
        raise OSError("redis://:hunter2@cache is away")
    except OSError:
        fields = {"event": "redis://:hunter2@cache", "address": "redis://:hunter2@cache"}
        handler.emit(logging.LogRecord("x", logging.ERROR, __file__, 1, fields, None, sys.exc_info()))
    (sent,) = exporter.get_finished_logs()
    assert "hunter2" not in sent.to_json()
    assert sent.log_record.body == "redis://:***@cache"


def test_no_span_holds_a_password(kept: Kept) -> None:
    with pytest.raises(OSError, match="hunter2"), span("work"):
        raise OSError("redis://:hunter2@cache is away")
    work = kept.named("work")
    assert "hunter2" not in work.to_json()
    assert work.status.description == "redis://:***@cache is away"


def test_what_is_said_of_settings_holds_no_password() -> None:
    (note,) = settings_from({"JAEGER_ENDPOINT": "http://u:hunter2@:14268/api"}).notes
    assert "hunter2" not in note
    for address in ("ftp://u:hunter2@engine", "http://u:hunter2@engine:8080", "http://hunter2@engine:8080"):
        with pytest.raises(SettingsError) as refused:
            load({"ENGINE_URL": address})
        assert "u:hunter2" not in str(refused.value)


def test_a_service_without_its_stores_puts_no_password_into_log_answer_or_trace(services: Services) -> None:
    services.environment |= {
        "POSTGRES_URL": "postgresql://cqox:hunter2@127.0.0.1:1/x",
        "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
        "OTEL_CONSOLE": "true",
        "CQOX_LOG_LEVEL": "debug",
        "CQOX_ADMIN_TOKEN": "hunter2hunter2",
    }
    services.start_both()
    with services.client() as gateway, services.client("engine") as engine:
        answers = [
            gateway.get("/api/datasets"),
            gateway.get("/api/admin/policies", headers={"Authorization": "Bearer hunter2hunter2"}),
            engine.get("/api/health"),
            engine.get("/metrics"),
        ]
    assert [answer.status_code for answer in answers] == [503, 200, 200, 200]
    for name in ("gateway", "engine"):
        assert services.stop(name) == 0
        assert "hunter2" not in services.log(name)
    assert not [answer.url for answer in answers if "hunter2" in answer.text]
