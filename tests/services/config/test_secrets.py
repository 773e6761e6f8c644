from pathlib import Path

import pytest

from services.config.configuration import SettingsError, adopt_telemetry_secrets, load, load_command_line
from services.config.secrets import holds_password
from services.config.settings import Settings
from services.config.table import table

SECRETS = {one.variable: one for one in table() if one.secret}
ADDRESSES = {"POSTGRES_URL": "postgresql://cqox:hunter2@db/x", "REDIS_URL": "redis://:hunter2@cache/0"}


def value(variable: str) -> str:
    return ADDRESSES.get(variable, "hunter2")


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    return path


def test_every_secret_has_a_file_and_no_flag_that_takes_it():
    keys = {"CQOX_ADMIN_TOKEN", "CQOX_HOP_KEY", "CQOX_OBJECT_STORE_ACCESS_KEY", "CQOX_OBJECT_STORE_SECRET_KEY"}
    assert set(SECRETS) == keys | {"CQOX_OIDC_CLIENT_SECRET", "POSTGRES_URL", "REDIS_URL"}
    for one in SECRETS.values():
        assert one.file_variable == f"{one.variable}_FILE"
    assert SECRETS["CQOX_ADMIN_TOKEN"].flag == ""


@pytest.mark.parametrize("variable", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_secret_is_read_from_its_file_without_the_end_of_the_line(variable, end, mark, tmp_path):
    (tmp_path / "secret").write_bytes(f"{mark}{value(variable)}{end}".encode())
    settings = load({f"{variable}_FILE": str(tmp_path / "secret")}).settings
    assert getattr(settings, SECRETS[variable].name) == value(variable)


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_that_is_given_twice_is_refused_with_both_names(variable, secret):
    with pytest.raises(SettingsError, match=f"{variable} and {variable}_FILE are both set") as refused:
        load({variable: value(variable), f"{variable}_FILE": str(secret)})
    assert "hunter2" not in str(refused.value)


def test_an_empty_variable_is_no_second_one(secret):
    assert load({"CQOX_ADMIN_TOKEN": "", "CQOX_ADMIN_TOKEN_FILE": str(secret)}).settings.admin_token == "hunter2"
    assert load({"CQOX_ADMIN_TOKEN": "x", "CQOX_ADMIN_TOKEN_FILE": " "}).settings.admin_token == "x"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"hunter2\xff", "is not UTF-8 text"),
        ("hunter2".encode("utf-16"), "is not UTF-8 text"),
        (b"hunter2\nhunter2", "more than one line"),
        (b"hunter2\x00", "control character"),
        (b"hunter2" * 10_000, "more than the 65,536 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason_and_without_its_content(content, reason, tmp_path):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"CQOX_ADMIN_TOKEN_FILE={path}.*{reason}") as refused:
        load({"CQOX_ADMIN_TOKEN_FILE": str(path)})
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_folder_is_no_secret(tmp_path):
    with pytest.raises(SettingsError, match=f"CQOX_ADMIN_TOKEN_FILE={tmp_path} cannot be read: Is a directory"):
        load({"CQOX_ADMIN_TOKEN_FILE": str(tmp_path)})


def test_a_service_reads_no_file_of_a_secret_that_is_not_its_own():
    environ = {"POSTGRES_URL_FILE": "/nowhere", "REDIS_URL_FILE": "/nowhere"}
    assert load_command_line("gateway", [], environ).settings.postgres_url == ""
    with pytest.raises(SettingsError, match="POSTGRES_URL_FILE=/nowhere"):
        load_command_line("engine", [], environ)


def test_an_unknown_file_variable_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match="CQOX_ADMIN_TOKN_FILE; the nearest is CQOX_ADMIN_TOKEN_FILE"):
        load({"CQOX_ADMIN_TOKN_FILE": "x"})


def test_settings_are_shown_without_their_secrets():
    shown = repr(Settings(admin_token="hunter2", postgres_url="hunter2", redis_url="hunter2"))
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:p@h/d",
        "postgresql://u:p@h1:1,h2:2/d",
        "postgres://u:p%40@h",
        "postgresql://u:p?w@h/d",
        "postgresql://u:a@b@h/d",
        "postgresql://h/d?password=p",
        "postgresql://h/d?sslmode=require&sslpassword=p",
        "postgresql://h/d?pass%77ord=p",
        "host=h password=p",
        "host=h password = 'p p'",
        "host=h PASSWORD=p",
        "password=a://b",
        "redis://:p@h/0",
        "rediss://u:p@h:6379/0",
        "redis://h/0?password=p",
        "unix://:p@/run/redis.sock",
        "unix:///run/redis.sock?password=p",
    ],
)
def test_a_password_in_an_address_is_seen(address):
    assert holds_password(address)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h:5432/d",
        "postgresql://u@h:5432/d",
        "postgresql://u@h1:1,h2:2/d?sslmode=verify-full&passfile=/x",
        "postgresql:///d",
        "host=h port=1 user=u passfile=/x",
        "redis://h:6379/0",
        "redis://u@h:6379/0?client_name=a",
        "redis://h:6379/0?client_name=a@b",
        "unix:///run/a@b.sock",
        "",
    ],
)
def test_an_address_without_a_password_is_no_secret(address):
    assert not holds_password(address)


@pytest.mark.parametrize("form", [("--{flag}", "{text}"), ("--{flag}={text}",)])
@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("postgres-url", "postgresql://u:hunter2@h/d"),
        ("postgres-url", "host=h password=hunter2"),
        ("redis-url", "redis://:hunter2@h/0"),
        ("admin-token", "hunter2"),
    ],
)
def test_a_secret_as_a_flag_is_refused_with_the_file_that_it_may_have(form, flag, text):
    arguments = [part.format(flag=flag, text=text) for part in form]
    variable = flag.upper().replace("-", "_")
    with pytest.raises(SettingsError, match=f"{variable}_FILE") as refused:
        load_command_line("engine", arguments, {})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("arguments", [["--admin-tokn", "hunter2"], ["--admin-tokn=hunter2"], ["hunter2"]])
def test_what_is_no_flag_is_not_repeated_with_its_value(arguments):
    with pytest.raises(SettingsError) as refused:
        load_command_line("gateway", arguments, {})
    assert "hunter2" not in str(refused.value)


def test_a_flag_wins_over_a_file(secret):
    environ = {"POSTGRES_URL_FILE": str(secret)}
    assert load_command_line("engine", ["--postgres-url", "postgresql://h/d"], environ).settings.postgres_url == (
        "postgresql://h/d"
    )


def test_headers_of_telemetry_may_be_in_a_file(secret):
    environ = {"OTEL_EXPORTER_OTLP_HEADERS_FILE": str(secret), "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "a=b"}
    adopt_telemetry_secrets(environ)
    assert environ["OTEL_EXPORTER_OTLP_HEADERS"] == "hunter2"
    assert environ["OTEL_EXPORTER_OTLP_LOGS_HEADERS"] == "a=b"
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS and OTEL_EXPORTER_OTLP_HEADERS_FILE"):
        adopt_telemetry_secrets(environ)


COMMAND = ("-c", "from services.cli import main; main()", "up")


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (("-m", "services.gateway"), {"CQOX_ADMIN_TOKEN": "hunter2", "CQOX_ADMIN_TOKEN_FILE": "{path}"}),
        (("-m", "services.gateway"), {"CQOX_ADMIN_TOKEN_FILE": "/nowhere"}),
        (("-m", "services.engine"), {"POSTGRES_URL_FILE": "{path}"}),
        (("-m", "services.engine", "--redis-url", "redis://:hunter2@h/0"), {}),
        (("-m", "services.gateway"), {"OTEL_EXPORTER_OTLP_HEADERS_FILE": "/nowhere"}),
        (COMMAND, {"REDIS_URL_FILE": "/nowhere"}),
        ((*COMMAND, "--postgres-url", "postgresql://u:hunter2@h/d"), {}),
        ((*COMMAND, "--admin-token", "hunter2"), {}),
        ((*COMMAND, "--admin-token=hunter2"), {}),
    ],
)
def test_a_command_that_is_given_a_secret_wrongly_ends_with_status_2_and_shows_none(start, secret, command, variables):
    service = start(*command, **{name: text.format(path=secret) for name, text in variables.items()})
    assert service.end() == 2
    said = "\n".join(service.lines)
    assert "_FILE" in said or "POSTGRES_URL cannot be read" in said
    assert "hunter2" not in said


def test_no_process_of_up_has_a_secret_on_its_command_line(start, tmp_path):
    files = {}
    for variable, text in {
        "CQOX_ADMIN_TOKEN": "hunter2",
        "POSTGRES_URL": "postgresql://cqox:hunter2@127.0.0.1:1/x",
        "REDIS_URL": "redis://:hunter2@127.0.0.1:1/0",
    }.items():
        path = tmp_path / variable
        path.write_text(f"{text}\n")
        files[f"{variable}_FILE"] = str(path)
    service = start(*COMMAND, **files)
    for title in ("Gateway", "Engine"):
        service.wait_line(f"[{title}] Admin socket at ")
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if of_session(path, service)]
    assert sum(b"services." in line for line in lines) >= 2
    assert not any(b"hunter2" in line for line in lines)
    assert service.stop() == 0
    assert not any("hunter2" in line for line in service.lines)


def test_a_flag_of_up_wins_over_the_file_in_the_service_too(start, secret):
    service = start(*COMMAND, "--redis-url", "redis://127.0.0.1:1/0", REDIS_URL_FILE=str(secret))
    for title in ("Gateway", "Engine"):
        service.wait_line(f"[{title}] Admin socket at ")
    assert service.stop() == 0


def of_session(path: Path, service) -> bool:
    """Return whether a process is a descendant of this one."""
    pid = int(path.parent.name)
    while pid > 1:
        if pid == service.process.pid:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


def test_the_environment_of_a_service_that_reads_a_file_holds_no_secret(start, secret):
    service = start("-m", "services.gateway", CQOX_ADMIN_TOKEN_FILE=str(secret))
    assert service.url
    assert b"hunter2" not in Path(f"/proc/{service.process.pid}/environ").read_bytes()
