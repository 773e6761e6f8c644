"""Links between simulated hosts: latency, loss, and partitions."""

from dataclasses import dataclass
from random import Random

__all__ = ["Link", "Links"]


@dataclass(slots=True, kw_only=True)
class Link:
    """One direction between two hosts.

    Attributes:
        latency: least time of a packet, in seconds.
        jitter: mean of the exponential time added to it, in seconds.
        loss: share of packets that are lost, and sent again later.
        duplication: share of connection attempts that arrive twice.
        repetition: share of answers that a faulty device sends again, in front of the next one of the connection.
        blocked: number of faults that let nothing pass now.
    """

    latency: float = 0.0003
    jitter: float = 0.0002
    loss: float = 0.0
    duplication: float = 0.0
    repetition: float = 0.0
    blocked: int = 0

    def delay(self, draw: Random) -> float:
        """Return the time of the next packet, in seconds."""
        return self.latency + (draw.expovariate(1 / self.jitter) if self.jitter else 0.0)


class Links:
    """The links of a network, each made when it is first used."""

    def __init__(self) -> None:
        self._links: dict[tuple[str, str], Link] = {}

    def of(self, source: str, target: str) -> Link:
        """Return the link from one host to another."""
        if (source, target) not in self._links:
            self._links[source, target] = Link()
        return self._links[source, target]
