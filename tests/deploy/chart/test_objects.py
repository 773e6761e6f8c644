"""Every object of the chart is one that a strict server would take, for all values of the matrix."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
from helm_python.chart import Chart, lint, package

from tests.chaos.rendering.schemas import errors_of, needs_schemas
from tests.deploy.chart.rendering import CHART, LEAST, MATRIX, find, render, rendered, texts

KUBERNETES = "1.37"
# Those of Kubernetes end in `.k8s.io` or have no dot; the Gateway API is a custom resource all the same.
_CUSTOM = {"gateway.networking.k8s.io"}


def is_custom(document: dict) -> bool:
    group = document["apiVersion"].rpartition("/")[0]
    return group in _CUSTOM or ("." in group and not group.endswith(".k8s.io"))


def distinct(*, custom: bool) -> Iterator[dict]:
    """Every object of the matrix once."""
    found = {json.dumps(each, sort_keys=True): each for case in MATRIX for each in rendered(case)}
    return (each for each in found.values() if is_custom(each) is custom)


def test_every_object_of_kubernetes_is_one_of_its_schema() -> None:
    objects = list(distinct(custom=False))
    assert {"Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Ingress"} <= {
        each["kind"] for each in objects
    }
    for each in objects:
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


@needs_schemas
def test_every_custom_object_is_one_of_its_schema() -> None:
    objects = list(distinct(custom=True))
    assert {"ServiceMonitor", "PrometheusRule", "ScaledObject", "VirtualService", "Server", "Schedule"} <= {
        each["kind"] for each in objects
    }
    wrong = [(each["kind"], each["metadata"]["name"], error) for each in objects for error in errors_of(each)]
    assert not wrong


def test_a_misspelt_field_of_kubernetes_is_refused() -> None:
    deployment = copy.deepcopy(find(rendered("least"), "Deployment", "cqox-engine"))
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriodSecond"):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@needs_schemas
def test_a_misspelt_field_and_a_kind_without_a_schema_are_refused() -> None:
    rule = copy.deepcopy(find(rendered("istio"), "DestinationRule", "cqox-engine"))
    rule["spec"]["trafficPolicy"]["outlierDetections"] = {}
    assert errors_of(rule)
    with pytest.raises(FileNotFoundError):
        errors_of({"apiVersion": "cert-manager.io/v1", "kind": "Certificate"})


def test_helm_has_nothing_to_say_but_that_there_is_no_icon() -> None:
    # It reads the chart each time, which takes longer than to render it.
    for case in ("least", "oidc", "istio-oidc-canary", "linkerd"):
        report = lint(CHART, MATRIX[case], strict=True, namespace="cqox", kube_version="v1.30.0")
        assert {message["error"] for message in report["messages"]} <= {"icon is recommended"}, case
        assert not report["errors"], case


@pytest.mark.parametrize("case", MATRIX)
def test_names_are_distinct_and_everything_is_in_the_namespace_of_the_release(case: str) -> None:
    documents = rendered(case)
    names = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(names) == len(set(names))
    assert {each["metadata"]["namespace"] for each in documents} == {"cqox"}


def test_what_an_object_refers_to_is_there() -> None:
    for case in MATRIX:
        documents = rendered(case)
        names = {(each["kind"], each["metadata"]["name"]) for each in documents}
        for each in documents:
            spec = each.get("spec", {})
            if account := spec.get("template", {}).get("spec", {}).get("serviceAccountName"):
                assert ("ServiceAccount", account) in names
            if target := spec.get("scaleTargetRef"):
                assert (target["kind"], target["name"]) in names
            for reference in [spec["targetRef"]] if "targetRef" in spec else spec.get("parentRefs", []):
                if each["apiVersion"].startswith("policy.linkerd.io"):
                    assert (reference["kind"], reference["name"]) in names, (case, reference)
            for reference in spec.get("requiredAuthenticationRefs", []):
                assert (reference["kind"], reference["name"]) in names, (case, reference)


def test_selectors_choose_the_pods_of_their_component_alone() -> None:
    for case in MATRIX:
        documents = rendered(case)
        labels = {
            each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
            for each in documents
            if each["kind"] == "Deployment"
        }
        for each in documents:
            if each["kind"] not in {"Service", "PodDisruptionBudget", "Deployment"}:
                continue
            selector = each["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            chosen = {name for name, given in labels.items() if wanted.items() <= given.items()}
            assert chosen == {each["metadata"]["name"]}


def test_a_release_of_another_name_shares_no_object_with_one_in_the_same_namespace() -> None:
    def names(release: str) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in render(MATRIX["istio"], name=release)}

    assert not names("cqox") & names("cqox-canary")
    assert all(name.startswith("blue-cqox-") for _, name in names("blue"))


def test_a_packaged_chart_renders_the_same(tmp_path: Path) -> None:
    with Chart.load(package(CHART, destination=tmp_path)) as chart:
        for case in ("monitored", "chaos"):
            assert chart.render(MATRIX[case], name="cqox", namespace="cqox") == texts(MATRIX[case])


def test_the_notes_say_how_to_reach_the_gateway_and_how_to_get_a_key() -> None:
    assert "port-forward service/cqox-gateway 8082" in texts(LEAST)["cqox/templates/NOTES.txt"]
    notes = texts(MATRIX["oidc"])["cqox/templates/NOTES.txt"]
    assert "https://cqox.example.com/" in notes
    assert "exec deploy/cqox-engine -- cqox keys create" in notes
