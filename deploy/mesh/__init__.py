"""Configuration of Envoy sidecars from the objects that the chart renders for Istio.

`Objects` reads the objects of one release, and `sidecar` writes what Envoy needs from them, with the defaults of Istio
where an object says nothing. By it the behaviour of a mesh can be run without a cluster. It is no control plane: it
translates the fields that the chart uses and refuses every other.
"""

from deploy.mesh.objects import Destination, Ejection, Objects, Route, Rule, UnknownField
from deploy.mesh.sidecar import Inbound, Outbound, Sidecar, endpoints

__all__ = [
    "Destination",
    "Ejection",
    "Inbound",
    "Objects",
    "Outbound",
    "Route",
    "Rule",
    "Sidecar",
    "UnknownField",
    "endpoints",
]
