"""Clusters have the time-outs, ejection and identities of the rules that the chart renders."""

from pathlib import Path

from deploy.mesh import Objects
from deploy.mesh.clusters import MARK, endpoints, inbound_cluster, name_of, outbound_cluster, tls_files
from tests.deploy.chart.rendering import rendered

CERTIFICATES = Path("/run/certificates")
OBJECTS = Objects(rendered("istio"))
HOST = "cqox-gateway.cqox.svc.cluster.local"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def test_a_cluster_is_named_by_port_and_service() -> None:
    assert name_of(OBJECTS, "gateway") == f"outbound|8082||{HOST}"


def test_the_identity_of_the_pods_that_are_asked_is_demanded() -> None:
    tls = outbound_cluster(OBJECTS, "gateway", CERTIFICATES, {})["transport_socket"]["typed_config"]
    [name] = tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert name == {"san_type": "URI", "matcher": {"exact": "spiffe://cluster.local/ns/cqox/sa/cqox-gateway"}}


def test_the_gateway_keeps_its_choice_of_an_engine_and_its_sidecar_ejects_none() -> None:
    engine = outbound_cluster(OBJECTS, "engine", CERTIFICATES, {})
    assert (engine["type"], engine["lb_policy"]) == ("ORIGINAL_DST", "CLUSTER_PROVIDED")
    enforced = {name: value for name, value in engine["outlier_detection"].items() if name.startswith("enforcing")}
    assert set(enforced.values()) == {0}
    assert len(enforced) == 3


def test_a_client_ejects_gateways_for_failed_connections_alone() -> None:
    assert outbound_cluster(OBJECTS, "gateway", CERTIFICATES, {})["outlier_detection"] == {
        "enforcing_success_rate": 0,
        "consecutive_5xx": 0,
        "enforcing_consecutive_5xx": 0,
        "consecutive_gateway_failure": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "split_external_local_origin_errors": True,
        "enforcing_local_origin_success_rate": 0,
        "consecutive_local_origin_failure": 5,
        "enforcing_consecutive_local_origin_failure": 100,
        "interval": "5s",
        "base_ejection_time": "10s",
        "max_ejection_percent": 50,
    }


def test_connections_are_those_of_the_rule_on_both_sides() -> None:
    outside = outbound_cluster(OBJECTS, "gateway", CERTIFICATES, {})
    inside = inbound_cluster(OBJECTS, "gateway", 8082)
    for cluster in (outside, inside):
        assert cluster["connect_timeout"] == "2s"
        options = cluster["typed_extension_protocol_options"][OPTIONS]
        assert options["common_http_protocol_options"] == {"idle_timeout": "30s"}
    [mark] = outside["upstream_bind_config"]["socket_options"]
    assert mark["int_value"] == MARK
    # What stays in the pod needs no mark.
    assert "upstream_bind_config" not in inside


def test_the_service_is_on_the_loopback_of_its_pod() -> None:
    [group] = inbound_cluster(OBJECTS, "engine", 18080)["load_assignment"]["endpoints"]
    [found] = group["lb_endpoints"]
    assert found["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 18080}


def test_endpoints_have_the_port_of_the_service() -> None:
    found = endpoints(OBJECTS, "gateway", ["198.18.0.3", "198.18.0.4"])
    assert found["cluster_name"] == name_of(OBJECTS, "gateway")
    places = [each["endpoint"]["address"]["socket_address"] for each in found["endpoints"][0]["lb_endpoints"]]
    assert places == [
        {"address": "198.18.0.3", "port_value": 8082},
        {"address": "198.18.0.4", "port_value": 8082},
    ]


def test_certificates_are_read_from_their_folder() -> None:
    context = tls_files(CERTIFICATES, {"prefix": "spiffe://cluster.local/"})
    assert context["tls_certificates"] == [
        {
            "certificate_chain": {"filename": "/run/certificates/cert.pem"},
            "private_key": {"filename": "/run/certificates/key.pem"},
        }
    ]
    assert context["validation_context"]["trusted_ca"] == {"filename": "/run/certificates/ca.pem"}
