from pathlib import Path

import pytest

from services.config.configuration import HelpRequested, SettingsError, load, load_command_line
from services.config.settings import Settings
from services.config.table import table


def test_an_empty_environment_gives_the_defaults():
    loaded = load({"HOME": "/home/somebody"})
    assert loaded.settings == Settings(data_dir=loaded.settings.data_dir)
    assert (loaded.settings.host, loaded.settings.gateway_port, loaded.settings.engine_port) == (
        "127.0.0.1",
        8082,
        8080,
    )
    assert loaded.settings.engine_url == "http://127.0.0.1:8080"
    assert loaded.notes == ()


def test_values_of_every_kind_are_read_from_the_environment():
    settings = load(
        {
            "CQOX_HOST": "::",
            "CQOX_GATEWAY_PORT": "1234",
            "CQOX_DRAIN_SECONDS": "2.5",
            "CQOX_DATA_DIR": "/srv/cqox",
            "CQOX_LOG_LEVEL": "DEBUG",
            "ENGINE_URL": "http://engine:8080",
        }
    ).settings
    assert settings.host == "::"
    assert settings.gateway_port == 1234
    assert settings.drain_seconds == 2.5
    assert settings.data_dir == Path("/srv/cqox")
    assert settings.log_level == "debug"
    assert settings.engine_url == "http://engine:8080"


def test_there_may_be_several_engines():
    settings = load({"ENGINE_URL": "http://a:1, https://b/engine ,http://[::1]:8080"}).settings
    assert settings.engine_urls == ("http://a:1", "https://b/engine", "http://[::1]:8080")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("2k", 2000), ("2KiB", 2048), ("1.5 GiB", 1536 * 2**20), ("3MB", 3_000_000), ("7B", 7)],
)
def test_sizes_may_have_a_unit(text, size):
    assert load({"CQOX_MAX_UPLOAD_BYTES": text}).settings.max_upload_bytes == size


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("CQOX_GATEWAY_PORT", "http", "must be a whole number from 0 to 65535, not 'http'"),
        ("CQOX_GATEWAY_PORT", "70000", "from 0 to 65535"),
        ("CQOX_DRAIN_SECONDS", "-1", "a number of seconds of at least 0"),
        ("CQOX_DRAIN_SECONDS", "nan", "not 'nan'"),
        ("CQOX_DRAIN_SECONDS", "inf", "not 'inf'"),
        ("CQOX_MAX_UPLOAD_BYTES", "many", "a whole number of bytes"),
        ("ENGINE_URL", "localhost:8080", "addresses such as http://127.0.0.1:8080, not 'localhost:8080'"),
        ("ENGINE_URL", "http://a:1,,http://b:1", "not ''"),
        ("ENGINE_URL", "http://", "not 'http://'"),
        ("ENGINE_URL", "http://a:abc", "not 'http://a:abc'"),
        ("ENGINE_URL", "http://a:70000", "not 'http://a:70000'"),
        ("ENGINE_URL", "http://[::1:8080", "not 'http://[::1:8080'"),
        ("ENGINE_URL", "http://a:1, http://a:1", "names an engine twice"),
        ("ENGINE_URL", f"http://a:1,http://{'b' * 64}:1", f"'{'b' * 64}', which can be the name of no host"),
        ("ENGINE_URL", "http://a..b:1", "'a..b', which can be the name of no host"),
        ("ENGINE_URL", "http://256.1.1.1:1", "'256.1.1.1', which can be the name of no host"),
        ("ENGINE_URL", "http://xn--:1", "'xn--', which can be the name of no host"),
        ("CQOX_ALLOWED_HOSTS", "a,https://b.example", "'https://b.example' is no host name: give names without scheme"),
        ("CQOX_PROMETHEUS_URL", "prometheus:9090", "must be an address without a password"),
        ("CQOX_PROMETHEUS_URL", "http://reader:secret@prometheus:9090", "must be an address without a password"),
        ("CQOX_RUNBOOK_URL", "docs/runbook.md", "must be an address without a password"),
        ("CQOX_TRACE_URL", "http://jaeger:16686/trace", "with {trace_id} where the id of the trace goes"),
        ("CQOX_TRACE_URL", "{trace_id}", "must be an address"),
        ("CQOX_TRACE_URL", "ftp://jaeger/{trace_id}", "must be an address"),
        ("CQOX_TRACE_URL", "https://jaeger/{traceid}", "not 'https://jaeger/{traceid}'"),
        ("CQOX_LOG_FORMAT", "xml", "must be one of auto, console, json"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_what_would(variable, text, said):
    with pytest.raises(SettingsError, match=variable) as caught:
        load({variable: text})
    assert said in str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match=r"CQOX_GATEWAY_PROT; the nearest is CQOX_GATEWAY_PORT"):
        load({"CQOX_GATEWAY_PROT": "1"})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CQOX_GATEWAY_PORT", "tcp://10.0.0.1:8082"),
        ("CQOX_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("CQOX_GATEWAY_SERVICE_PORT", "8082"),
        ("CQOX_GATEWAY_SERVICE_PORT_HTTP", "8082"),
        ("CQOX_ENGINE_PORT_8080_TCP", "tcp://10.0.0.2:8080"),
        ("CQOX_ENGINE_PORT_8080_TCP_ADDR", "10.0.0.2"),
    ],
)
def test_what_kubernetes_sets_for_services_of_our_name_is_ignored_with_a_note(variable, text):
    loaded = load({variable: text})
    assert loaded.settings.gateway_port == 8082
    assert len(loaded.notes) == 1
    assert variable in loaded.notes[0]


def test_variables_of_clients_keep_no_service_from_starting():
    loaded = load({"CQOX_URL": "http://localhost:8082", "CQOX_TOKEN": "secret"})
    assert loaded.settings == Settings(data_dir=loaded.settings.data_dir)
    with pytest.raises(SettingsError, match="CQOX_URLS"):
        load({"CQOX_URLS": "x"})


def test_an_empty_value_counts_as_absent():
    assert load({"CQOX_GATEWAY_PORT": "", "CQOX_HOST": "  "}).settings.gateway_port == 8082


def test_a_flag_wins_over_the_environment():
    loaded = load_command_line("gateway", ["--gateway-port", "2", "--host=::1"], {"CQOX_GATEWAY_PORT": "1"})
    assert (loaded.settings.gateway_port, loaded.settings.host) == (2, "::1")


@pytest.mark.parametrize("arguments", [["--gateway-prot", "1"], ["--gateway-port"], ["--gateway", "1"], ["stray"]])
def test_a_flag_that_does_not_exist_is_refused(arguments):
    with pytest.raises(SettingsError):
        load_command_line("gateway", arguments, {})


def test_help_lists_every_setting_of_the_service_with_default_and_unit():
    for service in ("gateway", "engine"):
        with pytest.raises(HelpRequested) as caught:
            load_command_line(service, ["--help"], {})
        said = " ".join(str(caught.value).split())
        assert "--data-dir" in said
        assert f"python -m services.{'engine' if service == 'gateway' else 'gateway'} --help" in said
        text = " ".join(str(caught.value).split())
        for setting in table():
            if setting.flag:
                assert (setting.flag in text) == (service in setting.services)
            assert (setting.variable in text) == (service in setting.services or setting.variable == "CQOX_ENGINE_PORT")
    assert "(CQOX_DRAIN_SECONDS; default 30 seconds)" in text
    assert "(CQOX_MAX_UPLOAD_BYTES; default 1 GiB)" in text


def test_the_data_directory_follows_xdg_and_an_explicit_one_wins():
    assert load({"XDG_DATA_HOME": "/data"}).settings.data_dir == Path("/data/cqox")
    assert load({"XDG_DATA_HOME": "relative"}).settings.data_dir == Path("~/.local/share/cqox").expanduser()
    assert load({"XDG_DATA_HOME": "/data", "CQOX_DATA_DIR": "/other"}).settings.data_dir == Path("/other")
