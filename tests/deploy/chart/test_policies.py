"""The policies on pods hold for everything that the chart renders, and each of them refuses what it is about."""

import copy
import re
from collections.abc import Callable
from functools import cache

import pytest
from regopy import Interpreter

from tests.deploy.chart.rendering import MATRIX, ROOT, find, rendered

POLICIES = (ROOT / "deploy" / "policies" / "pods.rego").read_text(encoding="utf-8")


@cache
def _interpreter() -> Interpreter:
    rego = Interpreter()
    rego.add_module("pods", POLICIES)
    return rego


def denials(document: dict) -> list[str]:
    rego = _interpreter()
    rego.set_input(document)
    return rego.query("data.cqox.pods.deny").results[0].expressions[0]


@pytest.mark.parametrize("case", MATRIX)
def test_nothing_that_is_rendered_is_denied(case: str) -> None:
    templates = [each for each in rendered(case) if "template" in each.get("spec", {})]
    assert len(templates) >= 2
    for each in templates:
        assert denials(each) == []


def _pod(change: Callable[[dict], object]) -> dict:
    document = copy.deepcopy(find(rendered("stores"), "Deployment", "cqox-engine"))
    change(document["spec"]["template"]["spec"])
    return document


def _container(change: Callable[[dict], object]) -> dict:
    return _pod(lambda pod: change(pod["containers"][0]))


def _without(*path: str) -> Callable[[dict], object]:
    def change(part: dict) -> None:
        for key in path[:-1]:
            part = part[key]
        del part[path[-1]]

    return change


def _with(value: object, *path: str) -> Callable[[dict], object]:
    def change(part: dict) -> None:
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = value

    return change


BROKEN = {
    "the pod has to say runAsNonRoot": _pod(_without("securityContext", "runAsNonRoot")),
    "the pod has to name a user other than root": _pod(_with(0, "securityContext", "runAsUser")),
    "container engine runs as root": _container(_with(0, "securityContext", "runAsUser")),
    "seccomp has to be RuntimeDefault": _pod(_with("Unconfined", "securityContext", "seccompProfile", "type")),
    "container engine can write to its root file system": _container(
        _with(False, "securityContext", "readOnlyRootFilesystem")
    ),
    "container engine can gain privileges": _container(_without("securityContext", "allowPrivilegeEscalation")),
    "container engine is privileged": _container(_with(True, "securityContext", "privileged")),
    "container engine keeps capabilities": _container(_with(["NET_RAW"], "securityContext", "capabilities", "drop")),
    "container engine adds capabilities": _container(_with(["NET_ADMIN"], "securityContext", "capabilities", "add")),
    "image cqox-engine:0.2.0 is not pinned to a digest": _container(_with("cqox-engine:0.2.0", "image")),
    "container engine has no limits of memory": _container(_without("resources", "limits", "memory")),
    "container engine has no requests of cpu": _container(_without("resources", "requests", "cpu")),
    "the pod mounts a token of its service account": _pod(_without("automountServiceAccountToken")),
    "the pod shares a namespace of its node": _pod(_with(True, "hostNetwork")),
    "volume temporary is a folder of the node": _pod(
        lambda pod: pod["volumes"][0].update({"hostPath": {"path": "/"}, "emptyDir": {"sizeLimit": "1Gi"}})
    ),
    "volume temporary has no bound": _pod(lambda pod: pod["volumes"][0].update({"emptyDir": {}})),
    "container engine has the secret REDIS_URL in a variable": _container(
        lambda container: container["env"].append(
            {"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "stores", "key": "redis"}}}
        )
    ),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_manifest_that_breaks_a_policy_is_denied_by_that_one(sentence: str) -> None:
    assert denials(BROKEN[sentence]) == [f"Deployment/cqox-engine: {sentence}"]


def test_a_container_that_starts_before_the_others_is_held_to_the_same() -> None:
    initial = {"name": "first", "image": "busybox", "securityContext": {}, "resources": {}}
    found = denials(_pod(_with([initial], "initContainers")))
    assert len([each for each in found if "container first" in each]) == 7
    assert "Deployment/cqox-engine: image busybox is not pinned to a digest" in found


def test_every_policy_is_broken_by_a_manifest_of_these_tests() -> None:
    written = re.findall(r'deny contains sprintf\("%s: ([^"]+)"', POLICIES)
    patterns = [re.compile(re.escape(each).replace("%s", ".+")) for each in written]
    assert len(patterns) == POLICIES.count("deny contains")
    assert [each.pattern for each in patterns if not any(each.fullmatch(sentence) for sentence in BROKEN)] == []
