import pytest

from cqox.chaos.experiments import FAULTS
from cqox.chaos.rendering.cluster import Cluster
from cqox.chaos.rendering.mesh_faults import NotRendered, mesh_fault, seconds_text
from tests.chaos.rendering.examples import fault
from tests.chaos.rendering.schemas import errors_of, needs_schemas

CLUSTER = Cluster(namespace="blue")
ENGINES, GATEWAYS = CLUSTER.selector("engine"), CLUSTER.selector("gateway")
ANY = {
    "grace": 45.0,
    "latency": 0.1,
    "jitter": 0.05,
    "percent": 12.5,
    "direction": "from",
    "bytes_per_second": 20000,
    "path": "/api",
    "status": 503,
    "workers": 4,
    "size_bytes": 2**31,
    "errno": "ENOSPC",
    "offset": -7200.0,
}
WITH_COUNTERPART = [(kind, target) for kind, about in FAULTS.items() if about.mesh for target in about.targets]


def any_fault(kind: str, target: str):
    return fault(kind, target, mode="all", **{name: ANY[name] for name in FAULTS[kind].parameters})


@pytest.mark.parametrize("kind", [kind for kind, about in FAULTS.items() if not about.mesh])
def test_a_kind_without_a_counterpart_has_a_reason(kind: str) -> None:
    with pytest.raises(NotRendered) as refused:
        mesh_fault(fault(kind, FAULTS[kind].targets[0]), CLUSTER)
    assert refused.value.reason.startswith(("Chaos Mesh", "sealing", "revoking", "refusing", "ending", "emptying"))


@needs_schemas
@pytest.mark.parametrize(("kind", "target"), WITH_COUNTERPART)
def test_every_kind_has_the_counterpart_that_its_table_names_and_its_schema(kind: str, target: str) -> None:
    broken = target.partition("->")[0] if kind.startswith("network") else target.rpartition("->")[2]
    if broken not in ("gateway", "engine"):
        with pytest.raises(NotRendered, match=r"no pod of CQOx|workers are processes"):
            mesh_fault(any_fault(kind, target), CLUSTER)
        return
    made = mesh_fault(any_fault(kind, target), CLUSTER)
    named, _, action = FAULTS[kind].mesh.partition("/")
    assert made.kind == named
    if "action" in made.spec:
        assert made.spec["action"] == action
    else:
        assert action in {*made.spec, *made.spec.get("stressors", ()), "offset"}
    document = {"apiVersion": "chaos-mesh.org/v1alpha1", "kind": made.kind, "spec": {**made.spec, "duration": "6s"}}
    assert errors_of(document) == []


@pytest.mark.parametrize("target", ["worker", "postgres", "redis", "openbao", "identity-provider"])
def test_what_is_no_pod_of_the_chart_is_not_selected(target: str) -> None:
    with pytest.raises(NotRendered):
        mesh_fault(fault("process-kill", target), CLUSTER)


def test_a_kill_leaves_no_time_and_a_termination_its_grace() -> None:
    killed = mesh_fault(fault("process-kill", "engine", mode="all"), CLUSTER)
    assert killed.spec == {"action": "pod-kill", "selector": ENGINES, "mode": "all", "gracePeriod": 0}
    assert mesh_fault(fault("process-terminate", "gateway", grace=45.0), CLUSTER).spec["gracePeriod"] == 45


def test_a_link_breaks_all_that_connect_and_the_chosen_ones_that_listen() -> None:
    made = mesh_fault(fault("network-partition", "gateway->engine", direction="from"), CLUSTER)
    assert made.spec == {
        "action": "partition",
        "selector": GATEWAYS,
        "mode": "all",
        "target": {"selector": ENGINES, "mode": "one"},
        "direction": "from",
    }


def test_delays_are_durations_and_shares_are_texts() -> None:
    made = mesh_fault(fault("network-delay", "gateway->engine", latency=0.1, jitter=0.05), CLUSTER)
    assert made.spec["delay"] == {"latency": "0.1s", "jitter": "0.05s"}
    assert mesh_fault(fault("network-loss", "gateway->engine", percent=12.5), CLUSTER).spec["loss"] == {"loss": "12.5"}


def test_packets_to_a_server_are_those_to_its_name_and_in_one_direction() -> None:
    made = mesh_fault(fault("network-delay", "engine->postgres", latency=1.0, jitter=0.0), CLUSTER)
    # Chaos Mesh refuses `both` for targets outside of the cluster, but for partitions.
    assert (made.spec["externalTargets"], made.spec["direction"]) == (["postgres"], "to")
    assert "only packets to the server" in made.differs
    parted = mesh_fault(fault("network-partition", "engine->postgres", direction="both"), CLUSTER)
    assert (parted.spec["direction"], parted.differs) == ("both", "")


def test_packets_of_clients_are_nobodys() -> None:
    with pytest.raises(NotRendered, match="no pod of CQOx"):
        mesh_fault(fault("network-corrupt", "client->gateway", percent=10.0), CLUSTER)


def test_a_share_of_requests_is_said_to_be_every_one() -> None:
    made = mesh_fault(fault("http-replace", "gateway->engine", status=503, percent=33.0, path="/api"), CLUSTER)
    assert made.spec == {
        "selector": ENGINES,
        "mode": "one",
        "target": "Response",
        "port": 8080,
        "path": "/api*",
        "replace": {"code": 503},
    }
    assert "not 33% of them" in made.differs
    whole = mesh_fault(fault("http-abort", "client->gateway", percent=100.0, path="/"), CLUSTER)
    assert (whole.spec["port"], whole.spec["abort"], "every request" in whole.differs) == (8082, True, False)


def test_a_disk_fault_has_its_number_and_the_operations_that_write() -> None:
    full = mesh_fault(fault("io-fault", "engine", errno="ENOSPC"), CLUSTER).spec
    assert (full["errno"], full["volumePath"], "unlink" in full["methods"]) == (28, "/var/lib/cqox", False)
    refused = mesh_fault(fault("io-fault", "engine", errno="EROFS"), CLUSTER).spec
    assert (refused["errno"], "unlink" in refused["methods"], "read" in refused["methods"]) == (30, True, False)


def test_a_clock_and_a_size_have_units() -> None:
    assert mesh_fault(fault("clock-offset", "engine", offset=-7200.0), CLUSTER).spec["timeOffset"] == "-7200s"
    stressed = mesh_fault(fault("stress-memory", "engine", size_bytes=2**31), CLUSTER)
    assert stressed.spec["stressors"] == {"memory": {"workers": 1, "size": "2048MiB"}}


def test_seconds_have_no_exponent() -> None:
    assert [seconds_text(each) for each in (0.05, 6.0, 3600.0, 86400.0)] == ["0.05s", "6s", "3600s", "86400s"]
