"""Scraping, alerts and the number of engines: by series and names that there are."""

import re

import yaml

from cqox.telemetry.metric_definitions import SERIES
from services.http.contract.api import OPERATIONS
from tests.deploy.chart.rendering import CHART, ROOT, environment, find, pods, rendered

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
NAMES = {one.prometheus_name for one in SERIES}


def test_the_alerts_are_those_of_the_one_file() -> None:
    assert (CHART / "files" / "rules.yml").resolve() == RULES
    rendered_rules = find(rendered("monitored"), "PrometheusRule", "cqox-rules")["spec"]
    assert rendered_rules == yaml.safe_load(RULES.read_text(encoding="utf-8"))


def test_as_many_instances_are_expected_as_the_values_ask_for() -> None:
    for case, gateways, engines in (("monitored", 2, 3), ("keda", 2, 2)):
        [group] = find(rendered(case), "PrometheusRule", "cqox-expected")["spec"]["groups"]
        assert [(rule["record"], rule["expr"], rule["labels"]) for rule in group["rules"]] == [
            ("cqox:replicas:expected", f"vector({gateways})", {"job": "cqox-gateway"}),
            ("cqox:replicas:expected", f"vector({engines})", {"job": "cqox-engine"}),
        ]


def test_jobs_are_called_as_the_rules_and_the_dashboard_call_them() -> None:
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    jobs = {each["job_name"] for each in scraped["scrape_configs"]}
    monitors = [each for each in rendered("monitored") if each["kind"] == "ServiceMonitor"]
    given = {
        relabeling["replacement"]
        for each in monitors
        for relabeling in each["spec"]["endpoints"][0]["relabelings"]
        if relabeling["targetLabel"] == "job"
    }
    assert given == {"cqox-gateway", "cqox-engine"}
    assert given <= jobs


def test_a_monitor_scrapes_the_metrics_of_one_service_with_the_key_that_it_needs() -> None:
    [operation] = [one for one in OPERATIONS if one.path == "/metrics"]
    assert operation.needs is not None
    for component in ("gateway", "engine"):
        [endpoint] = find(rendered("monitored"), "ServiceMonitor", f"cqox-{component}")["spec"]["endpoints"]
        assert (endpoint["port"], endpoint["path"], endpoint["scheme"]) == ("http", operation.path, "http")
        assert endpoint["authorization"] == {"credentials": {"name": "cqox-metrics", "key": "token"}}
        [secured] = find(rendered("tls"), "ServiceMonitor", f"cqox-{component}")["spec"]["endpoints"]
        assert secured["scheme"] == "https"
        assert secured["tlsConfig"]["cert"] == {"secret": {"name": "prometheus-tls", "key": "cert.pem"}}
        [unsecured] = find(rendered("istio"), "ServiceMonitor", f"cqox-{component}")["spec"]["endpoints"]
        assert "authorization" not in unsecured


def test_engines_are_added_by_the_queue() -> None:
    autoscaler = find(rendered("hpa"), "HorizontalPodAutoscaler", "cqox-engine")["spec"]
    [metric] = autoscaler["metrics"]
    assert metric["pods"]["metric"]["name"] in NAMES
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "2"}


def test_keda_compares_the_analyses_with_the_places_of_an_engine() -> None:
    spec = find(rendered("keda"), "ScaledObject", "cqox-engine")["spec"]
    [trigger] = spec["triggers"]
    query = trigger["metadata"]["query"]
    assert set(re.findall(r"cqox_\w+", query)) == {"cqox_analysis_running", "cqox_analysis_queue_depth"} <= NAMES
    assert 'namespace="cqox",job="cqox-engine"' in query
    places = int(environment(pods(rendered("keda"))["engine"])["CQOX_CONCURRENT_ANALYSES"])
    assert float(trigger["metadata"]["threshold"]) == places * 0.75


def test_what_is_scaled_has_no_number_of_its_own() -> None:
    for case, component in (("hpa", "gateway"), ("hpa", "engine"), ("keda", "engine")):
        assert "replicas" not in find(rendered(case), "Deployment", f"cqox-{component}")["spec"]
    assert find(rendered("stores"), "Deployment", "cqox-engine")["spec"]["replicas"] == 3


def test_fewer_engines_come_late_and_one_at_a_time() -> None:
    behaviors = [
        find(rendered("hpa"), "HorizontalPodAutoscaler", "cqox-engine")["spec"]["behavior"],
        find(rendered("keda"), "ScaledObject", "cqox-engine")["spec"]["advanced"]["horizontalPodAutoscalerConfig"][
            "behavior"
        ],
    ]
    for behavior in behaviors:
        down = behavior["scaleDown"]
        assert down["stabilizationWindowSeconds"] == 600
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_at_most_one_pod_of_a_component_is_evicted_at_a_time() -> None:
    for component in ("gateway", "engine"):
        spec = find(rendered("stores"), "PodDisruptionBudget", f"cqox-{component}")["spec"]
        assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
        strategy = find(rendered("stores"), "Deployment", f"cqox-{component}")["spec"]["strategy"]
        assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        spread = pods(rendered("stores"))[component]["topologySpreadConstraints"]
        assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
