"""One estimator each: `cqox.methods.aipw(df, y=…, treatment=…)` returns its estimate.

The functions are made from the catalog at their first use; `methods.pyi` has their types.
"""

from collections.abc import Callable

from cqox.api.calls import analyze
from cqox.api.keywords import Keywords
from cqox.api.signatures import with_keywords
from cqox.contract import ESTIMATORS, EstimateReport
from cqox.contract.messages import Message
from cqox.errors import InvalidRequest, UnusableData

__all__ = sorted(ESTIMATORS)


def __getattr__(name: str) -> Callable[..., EstimateReport]:
    if name not in ESTIMATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _function(name)
    return made


def __dir__() -> list[str]:
    return list(__all__)


def _function(name: str) -> Callable[..., EstimateReport]:
    def method(data: object, *, contrast: str | None = None, **keywords: object) -> EstimateReport:
        return _only(name, contrast, analyze(data, **{"estimators": [name], "primary": name, **keywords}).estimates)  # type: ignore[arg-type]

    method.__name__ = method.__qualname__ = name
    method.__module__ = __name__
    method.__doc__ = f"""Return the estimate of `{name}`, described by `cqox.catalog()`.

    Args:
        data: as in `cqox.analyze`.
        contrast: the levels compared, of a treatment with more than two, such as "high vs low".
        **keywords: roles and options, as in `cqox.analyze`.

    Raises:
        UnusableData: the estimator does not apply to these data; the message is the reason.
        InputError: data, a role or an option must be corrected.
    """
    return with_keywords(method, Keywords)


def _only(
    name: str, contrast: str | None, estimates: "list[EstimateReport] | tuple[EstimateReport, ...]"
) -> EstimateReport:
    own = [each for each in estimates if each.name == name]
    labels = [each.contrast for each in own if each.contrast]
    chosen = [each for each in own if contrast in (None, each.contrast)]
    if len(chosen) != 1:
        raise InvalidRequest(Message("request.which-contrast", given=contrast or ""), field="contrast", choices=labels)
    found = chosen[0]
    if found.status in ("skipped", "failed"):
        raise UnusableData(Message("request.estimator-without-estimate", name=name, reason=found.reason or ""))
    return found
