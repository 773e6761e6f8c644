"""What a figure is before it is drawn."""

from dataclasses import dataclass

from cqox.estimators import Json

__all__ = ["Figure", "Spec"]

type Spec = dict[str, Json]
"""A Vega-Lite specification with its numbers inside; nothing in it refers to another place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure and what it says.

    Attributes:
        name: of the figure in reports and addresses.
        title: what it shows.
        alt: the same for people who do not see it, with the main numbers; also the specification's description.
        spec: the Vega-Lite specification.
    """

    name: str
    title: str
    alt: str
    spec: Spec
