"""The figure record: name, title, alternative text and specification."""

from dataclasses import dataclass

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
        spec: the Vega-Lite specification.
    """

    name: str
    title: str
    alt: str
    spec: Spec
