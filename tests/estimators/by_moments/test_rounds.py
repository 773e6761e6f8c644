from dataclasses import dataclass, field, replace
from functools import partial

from cqox.contract.messages import Message
from cqox.estimators.by_moments.catalog import BY_MOMENTS
from cqox.estimators.by_moments.encoded import NotByMoments
from cqox.estimators.by_moments.rounds import Ask, run_rounds
from cqox.estimators.numerics.moments import ArrayMoments, Column, GroupSum
from tests.estimators.by_moments.tables_of import study, tables

PASSES = ("gram", "sums", "grouped", "squares", "count")


@dataclass(frozen=True)
class Counted:
    """A table that counts how often it is read."""

    inner: ArrayMoments
    passes: list[str] = field(default_factory=list)

    def where(self, condition):
        return Counted(self.inner.where(condition), self.passes)

    def __getattr__(self, name: str):
        if name in PASSES:
            self.passes.append(name)
        return getattr(self.inner, name)


def passes_of(*names: str) -> list[str]:
    found: list[Counted] = []

    def source(columns):
        found.append(Counted(ArrayMoments(columns=columns)))
        return found[0]

    made = tables(study(), source=source)
    results = run_rounds(made, {name: partial(BY_MOMENTS[name], made) for name in names})
    assert all(result.estimate is not None for result in results.values())
    return found[0].passes


def test_more_estimates_of_the_same_rows_need_hardly_more_passes() -> None:
    alone = passes_of("ols_adjustment")
    assert alone == ["sums", "gram", "sums"]
    assert passes_of("ols_adjustment", "lin_interacted", "g_computation_ate", "g_computation_att", "dml_plr") == alone
    every = passes_of(
        *(
            name
            for name in BY_MOMENTS
            if not name.startswith(
                ("entropy", "iv", "did", "dml_pliv", "twfe", "interrupted", "synthetic", "rd", "ope", "transport")
            )
            and name != "propensity_strata"
        )
    )
    assert len(every) <= 26, every
    # Between which scores, how many rows have each, and which arms they are of.
    weights = passes_of("ipw_ate")
    assert len(passes_of("ipw_ate", "propensity_strata")) <= len(weights) + 3
    # Newton steps of their own, those of both arms in one pass.
    balancing = passes_of("entropy_balancing_ate", "entropy_balancing_att")
    assert len(balancing) <= 12, balancing


def test_one_refusal_leaves_the_others() -> None:
    made = tables(study())
    wanted = {"ols_adjustment": partial(BY_MOMENTS["ols_adjustment"], made), "iv_2sls": partial(refuse, made)}
    found = run_rounds(made, wanted)
    assert found["ols_adjustment"].estimate is not None
    assert isinstance(found["iv_2sls"], Exception)


def refuse(made):
    raise NotByMoments(Message("by_moments.few-rows"))
    yield


def test_sums_that_do_not_fit_into_memory_leave_their_estimate_to_the_sample() -> None:
    made = tables(study())
    rows = made.complete("y", "treatment")
    within = GroupSum(Column("y"), (Column("key"),))

    def large(ask: bool):
        if ask:
            yield Ask(rows=rows, sums=(within,))
        rows.source.sums([within])
        yield Ask(rows=rows)

    class Small(Counted):
        def where(self, condition):
            return Small(self.inner.where(condition), self.passes)

        def sums(self, values, largest=()):
            if within in values:
                raise MemoryError
            return self.inner.sums(values, largest)

    rows = replace(rows, source=Small(rows.source, []))
    wanted = {
        "ols_adjustment": partial(BY_MOMENTS["ols_adjustment"], made),
        "asked": lambda: large(True),
        "own": lambda: large(False),
    }
    found = run_rounds(made, wanted)
    assert found["ols_adjustment"].estimate is not None
    assert [found[name].why.code for name in ("asked", "own")] == ["by_moments.memory"] * 2
