"""The figure record: name, title, alternative text and specification."""

from dataclasses import dataclass

from cqox.contract.messages import Message
from cqox.estimators import Json

__all__ = ["Figure", "Spec"]

type Spec = dict[str, Json]
"""A self-contained Vega-Lite specification with inline data and no external references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its alternative text.

    Attributes:
        name: name of the figure in reports and URLs.
        title: title of the figure.
        alt: alternative text with the main numbers; also the description of the specification.
        spec: the Vega-Lite specification; its `usermeta.messages` holds the codes of its texts.
    """

    name: str
    title: Message
    alt: Message
    spec: Spec
