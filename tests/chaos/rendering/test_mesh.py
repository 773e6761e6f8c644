"""Documents of Chaos Mesh against the schemas of its kinds, and the rules that its admission adds to them."""

import re
from collections.abc import Iterator

import pytest

from cqox.chaos.rendering.checks import SteadyStateMissing
from cqox.chaos.rendering.cluster import LABELS, Cluster
from cqox.chaos.rendering.mesh import MeshExperiment, mesh_experiment, workflow
from tests.chaos.rendering.examples import ALL, experiment, fault
from tests.chaos.rendering.schemas import errors_of, needs_schemas

CLUSTER = Cluster(namespace="blue")
MADE = {each.name: mesh_experiment(each, CLUSTER) for each in ALL}
RENDERED = {name: each for name, each in MADE.items() if isinstance(each, MeshExperiment)}
NAMED = {"PodChaos", "NetworkChaos", "StressChaos", "IOChaos", "TimeChaos", "HTTPChaos"}


def made(*faults, **changes) -> MeshExperiment:
    found = mesh_experiment(experiment(*faults, **changes), CLUSTER)
    assert isinstance(found, MeshExperiment)
    return found


def documents() -> Iterator[dict]:
    for each in RENDERED.values():
        yield from each.fault_documents()
        if (schedule := each.schedule_document()) is not None:
            yield schedule
    yield workflow(RENDERED.values(), CLUSTER)


def selectors(value: object) -> Iterator[dict]:
    if isinstance(value, dict):
        if "selector" in value:
            yield value["selector"]
        for each in value.values():
            yield from selectors(each)
    elif isinstance(value, list):
        for each in value:
            yield from selectors(each)


@needs_schemas
def test_every_document_has_the_schema_of_its_kind() -> None:
    found = {(each["kind"], each["metadata"]["name"]): errors_of(each) for each in documents()}
    assert {kind for kind, _ in found} == {*NAMED, "Schedule", "Workflow"}
    assert {name: errors for name, errors in found.items() if errors} == {}


@needs_schemas
def test_a_wrong_field_is_refused_at_every_depth() -> None:
    (document,) = made().fault_documents()
    assert errors_of({**document, "spec": {**document["spec"], "gracePeriode": 0}})
    assert errors_of({**document, "spec": {**document["spec"], "mode": "some"}})
    selector = {**document["spec"]["selector"], "labelSelector": {}}
    assert errors_of({**document, "spec": {**document["spec"], "selector": selector}})
    schedule = made().schedule_document()
    schedule["spec"]["workflow"]["templates"][-2]["statusCheck"]["http"]["criteria"]["status"] = "200"
    assert errors_of(schedule)
    with pytest.raises(FileNotFoundError):
        errors_of({**document, "kind": "NoSuchChaos"})


def test_selectors_have_the_labels_of_the_chart_alone() -> None:
    found = [selector for document in documents() for selector in selectors(document)]
    assert len(found) > len(RENDERED)
    for selector in found:
        assert set(selector) == {"namespaces", "labelSelectors"}
        assert selector["namespaces"] == ["blue"]
        labels = dict(selector["labelSelectors"])
        assert labels.pop("app.kubernetes.io/component") in {"gateway", "engine"}
        assert labels == LABELS == {"app.kubernetes.io/name": "cqox"}


def test_templates_follow_the_rules_of_admission() -> None:
    for document in documents():
        spec = document["spec"].get("workflow", document["spec"])
        if "templates" not in spec:
            continue
        names = [template["name"] for template in spec["templates"]]
        children = [child for template in spec["templates"] for child in template.get("children", ())]
        assert len(set(names)) == len(names)
        # Each is used once, but the entry.
        assert sorted(children) == sorted(set(names) - {spec["entry"]})
        for template in spec["templates"]:
            assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", template["name"])
            assert len(template["name"]) <= 63
            kind = template["templateType"]
            if kind in NAMED:
                field = {"HTTPChaos": "httpChaos", "IOChaos": "ioChaos"}.get(kind, kind[0].lower() + kind[1:])
                # A duration inside of a workflow is refused: it is the deadline.
                assert "duration" not in template[field]
            if kind not in ("Serial", "Parallel"):
                assert re.fullmatch(r"[0-9.]+s", template["deadline"])
                assert float(template["deadline"][:-1]) > 0


def test_every_experiment_is_checked_before_during_and_after() -> None:
    for each in RENDERED.values():
        by_name = {template["name"]: template for template in each.templates}
        name = each.experiment.name
        assert by_name[name]["children"] == [f"{name}-before", f"{name}-break", f"{name}-after"]
        for phase in ("before", "break", "after"):
            kinds = [by_name[child]["templateType"] for child in by_name[f"{name}-{phase}"]["children"]]
            assert "StatusCheck" in kinds
            if phase != "break":
                assert set(kinds) == {"StatusCheck"}
        assert all(
            template["abortWithStatusCheck"] for template in each.templates if template["templateType"] == "StatusCheck"
        )


def test_the_workflow_runs_all_experiments_one_after_the_other() -> None:
    document = workflow(RENDERED.values(), CLUSTER)
    first = document["spec"]["templates"][0]
    assert first["name"] == document["spec"]["entry"]
    assert (first["templateType"], first["children"]) == ("Serial", list(RENDERED))


def test_a_fault_that_begins_later_waits_in_the_workflow() -> None:
    both = made(fault("network-loss", "gateway->engine", percent=1.0), fault("process-kill", "engine", begin=4.5))
    by_name = {template["name"]: template for template in both.templates}
    assert by_name["engine-killed-break"]["children"] == [
        "engine-killed-during",
        "engine-killed-fault-1",
        "engine-killed-later-2",
    ]
    assert by_name["engine-killed-later-2"]["children"] == ["engine-killed-wait-2", "engine-killed-fault-2"]
    assert by_name["engine-killed-wait-2"]["deadline"] == "4.5s"
    assert [each["metadata"]["name"] for each in both.fault_documents()] == ["engine-killed-1", "engine-killed-2"]


def test_values_are_those_of_the_definition() -> None:
    (document,) = made(fault("process-pause", "engine", mode="all", seconds=7.5)).fault_documents()
    assert document["metadata"] == {"name": "engine-killed", "namespace": "blue"}
    assert (document["spec"]["mode"], document["spec"]["duration"]) == ("all", "7.5s")


def test_a_schedule_is_the_one_of_the_definition_and_has_the_checks() -> None:
    spec = made(schedule="0 3 * * 1").schedule_document()["spec"]
    assert (spec["schedule"], spec["type"], spec["workflow"]["entry"]) == ("0 3 * * 1", "Workflow", "engine-killed")
    assert made(schedule="").schedule_document() is None


def test_one_fault_without_a_counterpart_is_enough_for_none() -> None:
    found = mesh_experiment(experiment(fault("process-kill", "engine"), fault("vault-seal", "openbao")), CLUSTER)
    assert isinstance(found, str)
    assert "vault" in found


def test_without_a_steady_state_nothing_is_rendered() -> None:
    with pytest.raises(SteadyStateMissing):
        mesh_experiment(experiment(steady=()), CLUSTER)
    with pytest.raises(SteadyStateMissing):
        mesh_experiment(experiment(fault("vault-seal", "openbao"), steady=()), CLUSTER)
