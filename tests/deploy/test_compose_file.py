"""Properties that compose.yaml gives every container. `make compose-test` runs it on a real engine."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from services.config.about import Service
from services.config.configuration import load
from services.config.table import table
from services.config.vault import vault_access
from services.http.server import serving
from tests.servers.certificates import authority_in
from tests.servers.ports import free_port
from tests.servers.redis import _found as redis_server
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
STACK = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = STACK["services"]
DEFAULT = {"gateway", "engine", "password", "postgres", "redis", "jaeger"}
FULL = {"prometheus", "alertmanager", "grafana", "otel-collector", "elasticsearch", "kibana", "kibana-views"}
SERVED = ("gateway", "gateway-replica", "engine", "engine-replica")
# The one comes without a shell, the other ends when it has done its work.
WITHOUT_CHECK = {"otel-collector", "password", "certificates"}


def image(name: str) -> str:
    return SERVICES[name]["image"]


def test_the_images_are_called_by_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in ("gateway", "gateway-replica", "engine", "engine-replica", "password"):
        assert image(name).endswith(f":${{CQOX_VERSION:-{project['version']}}}")


def test_without_a_profile_exactly_these_start() -> None:
    assert {name for name, one in SERVICES.items() if "profiles" not in one} == DEFAULT
    assert {name for name, one in SERVICES.items() if one.get("profiles") == ["full"]} == FULL
    assert SERVICES["engine-replica"]["profiles"] == ["replicas"]
    assert SERVICES["certificates"]["profiles"] == ["secure"]
    assert {name for name, one in SERVICES.items() if one.get("profiles") == ["edge"]} == {"gateway-replica", "edge"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    assert re.search(r":(v?\d+\.\d+(\.\d+)?|\$\{CQOX_VERSION:-\d+\.\d+\.\d+\})$", image(name)), image(name)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_held_in_bounds(name: str) -> None:
    one = SERVICES[name]
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges=true"]
    assert one["read_only"] is (name not in {"elasticsearch", "kibana"})
    assert one["logging"]["options"]["max-size"]
    assert one["restart"] == ("no" if name in {"password", "certificates"} else "unless-stopped")
    limits = one["deploy"]["resources"]["limits"]
    assert limits["memory"]
    assert limits["pids"]
    assert "privileged" not in one
    assert one.get("user") != "root"
    assert (one.get("user") == "0:0") == (name == "otel-collector")


def test_what_ends_is_waited_for_so_that_up_with_wait_does_not_take_it_for_a_failure() -> None:
    ending = {name for name, one in SERVICES.items() if one["restart"] != "unless-stopped"}
    awaited = {
        name
        for one in SERVICES.values()
        for name, how in one.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert ending == awaited


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_that_stays_is_checked(name: str) -> None:
    check = SERVICES[name].get("healthcheck")
    if name in WITHOUT_CHECK:
        assert check in (None, {"disable": True})
    elif name in SERVED:
        target = name.removesuffix("-replica")
        stage = (ROOT / "Dockerfile").read_text(encoding="utf-8").split(f" AS {target}\n")[1]
        assert "HEALTHCHECK" in stage.split("\nFROM ")[0]
    else:
        assert check["test"][0] in ("CMD", "CMD-SHELL")


def test_ports_are_those_that_a_person_uses_and_on_loopback() -> None:
    published = {name: port for name, one in SERVICES.items() for port in one.get("ports", ())}
    assert published.pop("engine") == "127.0.0.1:8080:8080"
    assert all(port.startswith("${CQOX_BIND:-127.0.0.1}:") for port in published.values())
    assert {name: port.rsplit(":", 1)[1] for name, port in published.items()} == {
        "gateway": "8082",
        "edge": "8082",
        "jaeger": "16686",
        "prometheus": "9090",
        "alertmanager": "9093",
        "grafana": "3000",
        "kibana": "5601",
    }


def test_gateways_behind_one_address_are_replaced_one_after_another_and_stopped_before_it() -> None:
    config = (ROOT / "deploy" / "compose" / "haproxy.cfg").read_text(encoding="utf-8")
    (name,) = set(re.findall(r"server-template gateway \d+ (\S+):8082", config))
    for gateway in ("gateway", "gateway-replica"):
        assert SERVICES[gateway]["networks"]["default"]["aliases"] == [name]
    assert "depends_on" not in SERVICES["edge"]
    # A gateway is seen as not ready before its sockets close, and what it still has may end.
    (fall, inter) = re.findall(r"default-server check .*fall (\d+)", config) + re.findall(r"check inter (\d+)s", config)
    assert int(fall) * int(inter) < float(SERVICES["gateway"]["environment"]["CQOX_DRAIN_DELAY"])
    (hard,) = re.findall(r"hard-stop-after (\d+)s", config)
    grace = [float(SERVICES[each]["stop_grace_period"].removesuffix("s")) for each in ("gateway", "edge")]
    assert grace[0] <= float(hard) < grace[1]
    # It is healthy once a gateway is, and a gateway starts when engines are, which start when the stores are.
    in_dockerfile = re.findall(r"--start-period=(\d+)s", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    waits = [*in_dockerfile, SERVICES["postgres"]["healthcheck"]["start_period"]]
    own = SERVICES["edge"]["healthcheck"]["start_period"]
    assert int(own.removesuffix("s")) > sum(int(each.removesuffix("s")) for each in waits)
    scraped = (ROOT / "deploy" / "compose" / "prometheus.yml").read_text(encoding="utf-8")
    assert f"names: [gateway, {name}], type: A" in scraped


def test_the_admin_socket_of_a_container_is_where_it_may_write() -> None:
    (variable,) = re.findall(r"CQOX_ADMIN_SOCKET=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for name in SERVED:
        assert any(variable.startswith(f"{one.split(':')[0]}/") for one in SERVICES[name]["tmpfs"])


def test_a_container_is_stopped_hard_only_after_its_drain() -> None:
    for name in SERVED:
        environment = SERVICES[name]["environment"]
        delay, grace = float(environment["CQOX_DRAIN_DELAY"]), float(environment["CQOX_DRAIN_SECONDS"])
        server = delay + grace + serving._SERVER_EXTRA_SECONDS
        hard = delay + grace + serving._HARD_EXTRA_SECONDS
        assert delay + grace < server < hard < float(SERVICES[name]["stop_grace_period"].removesuffix("s"))


def test_every_setting_in_the_file_is_one() -> None:
    known = {name for one in table() for name in (one.variable, one.file_variable)}
    for name in SERVED:
        given = {key for key in SERVICES[name]["environment"] if not key.startswith(("OTEL_", "PG"))}
        assert given <= known, given - known


def test_what_may_be_set_is_what_the_example_shows() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)[:}]", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    shown = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert shown - {"COMPOSE_PROFILES"} == asked


def test_no_file_of_the_stack_holds_a_secret() -> None:
    files = (path for path in (ROOT / "deploy" / "compose").rglob("*") if path.is_file())
    for path in (ROOT / "compose.yaml", ROOT / ".env.example", *files):
        for line in path.read_text(encoding="utf-8").splitlines():
            found = re.search(r"(?i)(password|token|secret|api_?key)[a-z_]*\s*[:=]\s*[\"']?([^\s\"'{}#,]+)", line)
            if found and not line.lstrip().startswith("#"):
                assert found[2].startswith(("$", "/")) or "condition" in line or path.suffix == ".py", line


def test_every_file_that_is_mounted_is_there() -> None:
    for one in SERVICES.values():
        for volume in one.get("volumes", ()):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume


def test_every_pipeline_of_the_collector_is_made_of_what_is_configured() -> None:
    collector = yaml.safe_load((ROOT / "deploy" / "compose" / "otel-collector.yaml").read_text(encoding="utf-8"))
    assert set(collector["service"]["pipelines"]) == {"traces", "metrics", "logs"}
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in collector["service"]["pipelines"].values():
        for kind in used:
            used[kind] |= set(pipeline[kind])
    used["extensions"] = set(collector["service"]["extensions"])
    assert used == {kind: set(collector[kind]) for kind in used}
    assert "elasticsearch" in used["exporters"]


@pytest.mark.parametrize("folder", ["", "/var/lib/cqox-tls"])
def test_the_command_and_the_check_of_redis_work_with_the_certificates_and_without(tmp_path: Path, folder: str) -> None:
    authority_in(tmp_path, "redis")
    files, port = str((tmp_path / "redis" / "current").resolve()), free_port()

    def here(script: str) -> list[str]:
        for there, mine in (("$$", "$"), ("/run/cqox-tls", files), ("6379", str(port))):
            script = script.replace(there, mine)
        # No port is set without TLS: Redis has its own.
        script = script.replace("exec redis-server", f"exec {redis_server()} --port {port} --dir {tmp_path}")
        return ["sh", "-c", script.replace("redis-cli", f"timeout 5 redis-cli -h localhost -p {port}")]

    command, check = SERVICES["redis"]["command"][2], SERVICES["redis"]["healthcheck"]["test"][1]

    def is_healthy(variable: str) -> bool:
        return subprocess.run(here(check), env={**os.environ, "CQOX_TLS_DIR": variable}).returncode == 0

    environment = {**os.environ, "CQOX_TLS_DIR": folder}
    server = subprocess.Popen(here(command), env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_healthy(folder))
        if folder:
            assert not is_healthy(""), "it answers without TLS as well"
    finally:
        server.terminate()
        server.wait()


def test_one_variable_turns_every_address_between_the_containers_to_tls() -> None:
    environment = SERVICES["engine"]["environment"] | SERVICES["gateway"]["environment"]
    for name, scheme in (("ENGINE_URL", "http"), ("REDIS_URL", "redis")):
        assert f"{scheme}${{CQOX_TLS_DIR:+s}}://" in environment[name]
    assert SERVICES["edge"]["environment"]["CQOX_TLS_DIR"] == "${CQOX_TLS_DIR:-}"
    for name in (*SERVED, "postgres", "redis"):
        assert SERVICES[name]["environment"]["CQOX_TLS_DIR"] == "${CQOX_TLS_DIR:-}"
        awaited = SERVICES[name]["depends_on"]["certificates"]
        assert awaited == {"condition": "service_completed_successfully", "required": False}
    # Each has its own certificates, and only the container that makes them has the authority.
    holders = {
        volume.split(":")[0]: {name for name, one in SERVICES.items() if volume in one.get("volumes", ())}
        for one in SERVICES.values()
        for volume in one.get("volumes", ())
        if volume.startswith("tls-") and volume.endswith(":ro")
    }
    assert holders == {
        "tls-gateway": {"gateway", "gateway-replica"},
        "tls-engine": {"engine", "engine-replica"},
        "tls-postgres": {"postgres"},
        "tls-redis": {"redis"},
    }
    assert "tls-all:/var/lib/cqox-certificates/all" in SERVICES["certificates"]["volumes"]


def vault_variables(name: str, **given: str) -> dict[str, str]:
    """Return those of a service as Compose makes them: `${A:-b}` is b without A, `${A:+b}` is b with it."""

    def replaced(found: re.Match[str]) -> str:
        value = given.get(found[1], "")
        return (value or found[3]) if found[2] == "-" else (found[3] if value else "")

    return {
        variable: re.sub(r"\$\{([A-Z_]+):([-+])([^{}]*)\}", replaced, text)
        for variable, text in SERVICES[name]["environment"].items()
        if variable.startswith("CQOX_VAULT_")
    }


@pytest.mark.parametrize("name", SERVED)
def test_every_setting_of_a_vault_is_passed_to_the_services_that_have_it_and_none_is_set(name: str) -> None:
    service: Service = "gateway" if name.startswith("gateway") else "engine"
    about = {one.variable for one in table() if one.variable.startswith("CQOX_VAULT_") and service in one.services}
    environment = SERVICES[name]["environment"]
    assert {variable for variable in environment if variable.startswith("CQOX_VAULT_")} == about
    assert vault_access(load(vault_variables(name), service=service).settings, service) is None
    given = {
        "CQOX_VAULT_ADDR": "https://vault.example.com:8200",
        "CQOX_VAULT_CA_FILE": "/etc/cqox/vault/ca.pem",
        "CQOX_VAULT_NAMESPACE": "team",
        "CQOX_VAULT_DATABASE_ROLE": "cqox",
    }
    settings = load(vault_variables(name, **given), service=service).settings
    access = vault_access(settings, service)
    assert access is not None
    assert (access.address, access.namespace) == (given["CQOX_VAULT_ADDR"], "team")
    assert (str(access.role_file), str(access.ca_file)) == ("/etc/cqox/vault/login.json", "/etc/cqox/vault/ca.pem")
    assert settings.vault_database_role == ("" if service == "gateway" else "cqox")
    # Its login and that of no other service.
    (mounted,) = (volume for volume in SERVICES[name]["volumes"] if volume.endswith(":/etc/cqox/vault:ro"))
    assert mounted.startswith(f"${{CQOX_VAULT_LOGINS:-./deploy/compose/no-logins}}/{service}:")
    assert (ROOT / "deploy" / "compose" / "no-logins" / service).is_dir(), "Docker would make it, as root"


def test_postgres_admits_other_containers_with_tls_and_a_certificate_alone() -> None:
    lines = (ROOT / "deploy" / "compose" / "pg_hba.conf").read_text(encoding="utf-8").splitlines()
    from_elsewhere = [line.split() for line in lines if line.split()[3:4] == ["all"]]
    assert from_elsewhere == [["hostssl", "all", "all", "all", "scram-sha-256", "clientcert=verify-ca"]]
