"""Settings, ports, paths and times of the chart are those of the services."""

import re

import pytest

from cqox.chaos.rendering.cluster import LABELS, Cluster
from services.config.configuration import load
from services.config.settings import Settings
from services.config.table import table
from services.http.contract.api import OPERATIONS
from services.http.server import serving
from tests.deploy.chart.rendering import (
    CHART,
    LEAST,
    MATRIX,
    ROOT,
    environment,
    find,
    merged,
    pods,
    render,
    rendered,
)

SETTINGS = {one.variable: one for one in table()}
FILES = {one.file_variable: one for one in table() if one.file_variable}
SERVICES = ("gateway", "engine")
_DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def each_pod() -> list[tuple[str, str, dict]]:
    return [(case, component, pod) for case in MATRIX for component, pod in pods(rendered(case)).items()]


def test_every_variable_is_a_setting_of_the_service_that_gets_it() -> None:
    seen = set()
    for case, component, pod in each_pod():
        service = "engine" if component == "migration" else component
        for name in environment(pod):
            if name.startswith("OTEL_"):
                continue
            setting = SETTINGS.get(name) or FILES[name]
            assert service in setting.services, (case, component, name)
            seen.add(name)
    assert {"CQOX_AUTH", "POSTGRES_URL_FILE", "REDIS_URL_FILE", "CQOX_HOP_KEY_FILE", "CQOX_TLS_PEERS"} <= seen


def test_the_services_take_what_the_chart_gives_them() -> None:
    for case, component, pod in each_pod():
        given = {name: value for name, value in environment(pod).items() if name not in FILES}
        settings = load(given, service="engine" if component == "migration" else component).settings
        if component != "migration":
            assert settings.auth == MATRIX[case]["auth"]["mode"], case  # type: ignore[index]


def test_no_secret_is_in_a_value_or_an_object() -> None:
    secret = {one.variable for one in table() if one.secret == "token"} | {"POSTGRES_URL", "REDIS_URL"}
    for case, component, pod in each_pod():
        assert not secret & set(environment(pod)), (case, component)
        assert "Secret" not in {each["kind"] for each in rendered(case)}


def test_a_variable_that_names_a_file_names_one_that_is_mounted() -> None:
    for case, component, pod in each_pod():
        container = pod["containers"][0]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert set(mounts.values()) == set(volumes), (case, component)
        for name, value in environment(pod).items():
            if name in FILES:
                folder, _, file = value.rpartition("/")
                paths = {
                    item["path"]
                    for source in volumes[mounts[folder]]["projected"]["sources"]
                    for item in source["secret"]["items"]
                }
                assert file in paths, (case, component, name)


def test_every_reference_to_a_secret_reaches_a_pod() -> None:
    values = merged(
        LEAST,
        {"secrets": {name: {"name": f"secret-{name.lower()}", "key": "k"} for name in _secret_names()}},
    )
    text = str(pods(render(values)))
    assert [name for name in _secret_names() if f"secret-{name.lower()}" not in text] == []


def _secret_names() -> list[str]:
    [block] = re.findall(r"^secrets:\n((?:  .*\n)+)", (CHART / "values.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    return re.findall(r"^  (\w+): \{name", block, re.MULTILINE)


@pytest.mark.parametrize("component", SERVICES)
def test_ports_are_those_of_the_services_and_of_the_image(component: str) -> None:
    port = getattr(Settings(), f"{component}_port")
    [exposed] = re.findall(rf"AS {component}\n.*?EXPOSE (\d+)", _DOCKERFILE, re.DOTALL)
    assert port == int(exposed)
    for case in MATRIX:
        documents = rendered(case)
        name = find(documents, "Deployment", "answers-" + component if case == "placed" else "cqox-" + component)[
            "metadata"
        ]["name"]
        [container] = pods(documents)[component]["containers"]
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        [served] = find(documents, "Service", name)["spec"]["ports"]
        assert (served["port"], served["targetPort"]) == (port, "http")


def test_the_gateway_asks_the_headless_name_of_the_engines_and_they_answer_to_it() -> None:
    for case in MATRIX:
        documents = rendered(case)
        both = {name: environment(pod) for name, pod in pods(documents).items() if name in SERVICES}
        scheme, _, host, port = re.fullmatch(r"(https?)(://)([a-z-]+):(\d+)", both["gateway"]["ENGINE_URL"]).groups()
        assert scheme == ("https" if case == "tls" else "http")
        assert find(documents, "Service", host)["spec"]["clusterIP"] == "None"
        assert int(port) == Settings().engine_port
        assert host in both["engine"]["CQOX_ALLOWED_HOSTS"].split(",")
        assert f"{host}.cqox.svc.cluster.local" in both["engine"]["CQOX_ALLOWED_HOSTS"].split(",")


@pytest.mark.parametrize("component", SERVICES)
def test_probes_ask_paths_of_the_contract(component: str) -> None:
    public = {one.path for one in OPERATIONS if one.needs is None}
    for case in MATRIX:
        [container] = pods(rendered(case))[component]["containers"]
        asked = {}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            given = container[probe]
            if "exec" in given:
                command = given["exec"]["command"]
                assert command[:3] == ["python", "-SE", "/opt/image/healthcheck.py"]
                assert int(command[3]) == Settings().engine_port
                asked[probe] = command[4]
            else:
                assert given["httpGet"]["port"] == "http"
                assert given["httpGet"]["scheme"] == ("HTTPS" if case == "tls" else "HTTP")
                asked[probe] = given["httpGet"]["path"]
        assert asked == {
            "startupProbe": "/health/ready",
            "livenessProbe": "/health/live",
            "readinessProbe": "/health/ready",
        }
        assert set(asked.values()) <= public


def test_an_engine_that_demands_certificates_is_asked_by_a_program_that_has_one() -> None:
    engine, gateway = (pods(rendered("tls"))[name]["containers"][0] for name in ("engine", "gateway"))
    assert "exec" in engine["livenessProbe"]
    assert "httpGet" in gateway["livenessProbe"]
    assert re.search(r"COPY deploy/image/healthcheck\.py .*/opt/image/", _DOCKERFILE)


@pytest.mark.parametrize("component", SERVICES)
def test_a_pod_is_killed_only_after_its_drain(component: str) -> None:
    changed = merged(MATRIX["stores"], {component: {"drainSeconds": 7}, "preStopSeconds": 3})
    for documents in (*map(rendered, MATRIX), render(changed)):
        pod = pods(documents)[component]
        values = environment(pod)
        pause = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        delay, drain = float(values["CQOX_DRAIN_DELAY"]), float(values["CQOX_DRAIN_SECONDS"])
        assert pod["terminationGracePeriodSeconds"] > pause + delay + drain + serving._HARD_EXTRA_SECONDS
        assert pause > 0


def test_a_drain_outlasts_every_request_that_is_within_its_deadline() -> None:
    for component in SERVICES:
        values = environment(pods(rendered("least"))[component])
        assert float(values["CQOX_DRAIN_SECONDS"]) >= float(values["CQOX_ANALYSIS_SECONDS"])
        assert float(values["CQOX_ANALYSIS_SECONDS"]) == Settings().analysis_seconds


def test_the_workers_of_an_engine_fit_into_its_memory() -> None:
    pod = pods(rendered("least"))["engine"]
    values = environment(pod)
    workers = int(values["CQOX_CONCURRENT_ANALYSES"]) * int(values["CQOX_WORKER_MEMORY_BYTES"])
    limit = int(pod["containers"][0]["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    assert workers <= limit * 0.75
    least = SETTINGS["CQOX_WORKER_MEMORY_BYTES"].minimum
    assert least is not None
    assert int(values["CQOX_WORKER_MEMORY_BYTES"]) >= least


def test_what_is_written_is_on_a_volume() -> None:
    for case, component, pod in each_pod():
        mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
        values = environment(pod)
        assert "/tmp" in mounts
        assert values.get("CQOX_ADMIN_SOCKET", "/tmp/x").startswith("/tmp/"), (case, component)
        if component == "engine":
            # An engine closes its directory to the group; Kubernetes opens the root of a volume to it, with all in it.
            [mount] = [path for path in mounts if values["CQOX_DATA_DIR"].startswith(f"{path}/")]
            assert mount == "/var/lib/cqox"


def test_engines_share_one_data_directory_and_a_volume_of_one_node_has_one_engine_at_a_time() -> None:
    for case in MATRIX:
        documents = rendered(case)
        [deployment] = [
            each for each in documents if each["kind"] == "Deployment" and "engine" in each["metadata"]["name"]
        ]
        claims = [each["spec"]["accessModes"] for each in documents if each["kind"] == "PersistentVolumeClaim"]
        strategy = deployment["spec"]["strategy"]["type"]
        if "CQOX_OBJECT_STORE" in environment(deployment["spec"]["template"]["spec"]):
            assert (strategy, claims) == ("RollingUpdate", []), case
        elif claims == [["ReadWriteMany"]]:
            assert strategy == "RollingUpdate", case
        else:
            assert strategy == "Recreate", case
            assert deployment["spec"]["replicas"] == 1, case


def test_with_an_object_store_each_engine_has_a_directory_that_goes_with_its_pod_and_reads_keys_from_files() -> None:
    documents = rendered("objects")
    pod = pods(documents)["engine"]
    values = environment(pod)
    assert values["CQOX_OBJECT_STORE"] == "s3://causal/cqox"
    assert values["CQOX_OBJECT_STORE_ENDPOINT"] == "https://objects.example.com"
    for kind in ("ACCESS", "SECRET"):
        assert values[f"CQOX_OBJECT_STORE_{kind}_KEY_FILE"].startswith("/etc/cqox/secrets/")
    [data] = [volume for volume in pod["volumes"] if volume["name"] == "data"]
    assert data == {"name": "data", "emptyDir": {"sizeLimit": "20Gi"}}
    assert int(values["CQOX_OBJECT_COPIES_BYTES"]) < 20 * 2**30
    policy = find(documents, "NetworkPolicy", "cqox-engine")
    assert {"port": 443, "protocol": "TCP"} in [port for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert "CQOX_OBJECT_STORE" not in environment(pods(documents)["gateway"])


def test_the_user_of_the_pods_is_that_of_the_image() -> None:
    [user] = re.findall(r"^USER (\d+):\d+$", _DOCKERFILE, re.MULTILINE)
    for _, _, pod in each_pod():
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == int(user)


def test_the_migration_is_the_command_of_the_engine_image_and_runs_before_anything_is_replaced() -> None:
    job = find(rendered("stores"), "Job", "cqox-migration")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["cqox", "db", "migrate"]
    assert container["image"] == pods(rendered("stores"))["engine"]["containers"][0]["image"]
    sources = job["spec"]["template"]["spec"]["volumes"][1]["projected"]["sources"]
    assert [source["secret"]["name"] for source in sources] == ["cqox-owner"]
    assert "Job" not in {each["kind"] for each in rendered("least")}


def test_the_vault_knows_a_pod_by_its_account() -> None:
    documents = rendered("vault")
    for component in SERVICES:
        login = find(documents, "ConfigMap", f"cqox-{component}-vault")["data"]["login.json"]
        assert login == f'{{"jwt_file":"/etc/cqox/vault/token","role":"cqox-{component}"}}'
        [volume] = [each for each in pods(documents)[component]["volumes"] if each["name"] == "vault"]
        # The login refuses files that others than the group can read.
        assert volume["projected"]["defaultMode"] == 0o440
        token = volume["projected"]["sources"][1]["serviceAccountToken"]
        assert token == {"audience": "vault", "expirationSeconds": 3600, "path": "token"}


def test_the_experiments_find_the_pods_services_and_data_of_the_chart() -> None:
    cluster, documents = Cluster(), rendered("chaos")
    for component in SERVICES:
        deployment = find(documents, "Deployment", f"cqox-{component}")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert {**LABELS, "app.kubernetes.io/component": component}.items() <= labels.items()
        [port] = find(documents, "Service", f"cqox-{component}")["spec"]["ports"]
        assert port["port"] == cluster.ports[component]
    assert cluster.data in {mount["mountPath"] for mount in pods(documents)["engine"]["containers"][0]["volumeMounts"]}
    assert {each["metadata"]["name"] for each in documents if each["kind"] == "Schedule"} == {
        "engine-killed",
        "gateway-to-engine-503",
    }
