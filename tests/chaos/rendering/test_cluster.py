import pytest

from cqox.chaos.rendering.cluster import Cluster, ClusterInvalid


def test_a_selector_has_the_labels_of_the_chart_and_the_namespace_alone() -> None:
    assert Cluster(namespace="blue").selector("engine") == {
        "namespaces": ["blue"],
        "labelSelectors": {"app.kubernetes.io/name": "cqox", "app.kubernetes.io/component": "engine"},
    }


def test_an_address_names_service_namespace_and_port() -> None:
    cluster = Cluster(namespace="blue", ports={"gateway": 80, "engine": 81})
    assert cluster.url("gateway", "/health/ready") == "http://cqox-gateway.blue.svc:80/health/ready"
    assert cluster.url("engine", "/") == "http://cqox-engine.blue.svc:81/"


@pytest.mark.parametrize("name", ["", "Blue", "a_b", "-a", "a-", "a" * 64, "a\nb", "kube system"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterInvalid) as refused:
        Cluster(namespace=name)
    assert refused.value.name == name
