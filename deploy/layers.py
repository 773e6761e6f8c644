"""The layers that retry, time out and eject between two parts on Kubernetes: exactly one for each.

The chart has the objects of the meshes, the services have the policies. Tests compare both with this table, from which
the documentation has it.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["CONCERNS", "HOPS", "Concern", "Hop", "Layer", "Mesh", "Rule"]

type Concern = Literal["retries", "times out", "ejects"]
type Layer = Literal["client", "gateway", "engine", "mesh", "kubernetes"]
type Mesh = Literal["none", "istio", "linkerd"]

CONCERNS: tuple[Concern, ...] = ("retries", "times out", "ejects")


@dataclass(frozen=True, slots=True)
class Rule:
    """A layer that decides, and in words what it does.

    Attributes:
        layer: the one that decides.
        en: what it does, in English.
        ja: the same in Japanese.
        istio: the layer that decides with Istio, where it is another one; `en` and `ja` describe both.
    """

    layer: Layer
    en: str
    ja: str
    istio: Layer | None = None

    def decides(self, mesh: Mesh) -> Layer:
        """Return the layer that decides in a mesh."""
        return self.istio if mesh == "istio" and self.istio is not None else self.layer


@dataclass(frozen=True, slots=True)
class Hop:
    """Two parts of which one asks the other, with the rule for each concern, in the order of `CONCERNS`."""

    asking: str
    asked: str
    rules: tuple[Rule, Rule, Rule]


HOPS: tuple[Hop, ...] = (
    Hop(
        "client",
        "gateway",
        (
            Rule(
                "client",
                "the client, such as `cqox.Client`; a mesh never",
                "クライアント（`cqox.Client` など）。メッシュは行わない",
            ),
            Rule(
                "gateway",
                "the gateway: 120 s for an analysis (`analysisSeconds`), 30 s for other requests; routes and meshes "
                "30 s later, and never a stream of events",
                "ゲートウェイ：分析は 120 秒（`analysisSeconds`）、その他は 30 秒。"
                "経路とメッシュはその 30 秒後、イベントのストリームは打ち切らない",
            ),
            Rule(
                "kubernetes",
                "Kubernetes by readiness; with Istio the sidecar of the client, after 5 failed connections for 10 s or "
                "more, never for an answer",
                "Kubernetes（readiness）。Istio ではクライアント側のサイドカー："
                "接続に 5 回失敗すると 10 秒間以上。応答を理由にはしない",
                istio="mesh",
            ),
        ),
    ),
    Hop(
        "gateway",
        "engine",
        (
            Rule(
                "gateway",
                "the gateway: up to 3 attempts for analyses, other requests and streams, 1 for uploads, within one "
                "budget",
                "ゲートウェイ：分析・その他・ストリームは最大 3 回、アップロードは 1 回。全体で一つの予算",
            ),
            Rule(
                "gateway",
                "the gateway, which sends along what is left of the deadline; a mesh never",
                "ゲートウェイ。残り時間をエンジンに伝える。メッシュは行わない",
            ),
            Rule(
                "gateway",
                "the gateway: an engine after 5 failed attempts for 10 s, and the circuit of a kind of request after 5 "
                "failed requests for 60 s; a mesh never",
                "ゲートウェイ：エンジンは 5 回失敗した試行の後 10 秒間、"
                "要求の種類ごとの回路は 5 回失敗した要求の後 60 秒間。メッシュは行わない",
            ),
        ),
    ),
    Hop(
        "engine",
        "store",
        (
            Rule(
                "engine",
                "the engine; PostgreSQL and Redis are outside of the mesh",
                "エンジン。PostgreSQL と Redis はメッシュの外",
            ),
            Rule("engine", "the engine: 10 s a call", "エンジン：一回の呼び出しにつき 10 秒"),
            Rule("engine", "the engine: a circuit for each store", "エンジン：ストアごとの回路"),
        ),
    ),
)
