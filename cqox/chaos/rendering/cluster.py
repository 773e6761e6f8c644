"""Names of a cluster that the manifests use: namespace, labels, services and ports of the chart, and its servers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cqox.errors import CqoxError

__all__ = ["LABELS", "PODS", "Cluster", "ClusterInvalid"]

LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "cqox"}
"""Labels of every pod of the chart, besides `app.kubernetes.io/component`."""

PODS = ("gateway", "engine")
"""Components that are pods of the chart; a worker is a process of an engine, and servers belong to others."""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class ClusterInvalid(CqoxError):
    """A name is none that a cluster can have.

    Attributes:
        name: the name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"a namespace has letters in lower case, digits and hyphens, at most 63, unlike {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster in which the chart is installed.

    Attributes:
        namespace: that of the pods and of the experiments.
        ports: the port of each component, the same on its pods and on its service `cqox-gateway` or `cqox-engine`.
        data: the mount of the data directory in an engine.
        servers: the name of each server that engines and gateways connect to.

    Raises:
        ClusterInvalid: the namespace is no name.
    """

    namespace: str = "cqox"
    ports: Mapping[str, int] = field(default_factory=lambda: {"gateway": 8082, "engine": 8080})
    data: str = "/var/lib/cqox"
    servers: Mapping[str, str] = field(
        default_factory=lambda: {"postgres": "postgres", "redis": "redis", "openbao": "openbao"}
    )

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ClusterInvalid(self.namespace)

    def selector(self, component: str) -> dict[str, object]:
        """Return what selects the pods of a component, and no other pod."""
        return {
            "namespaces": [self.namespace],
            "labelSelectors": {**LABELS, "app.kubernetes.io/component": component},
        }

    def url(self, component: str, path: str) -> str:
        """Return an address on the service of a component."""
        return f"http://cqox-{component}.{self.namespace}.svc:{self.ports[component]}{path}"
