"""The tasks: what is asked, of which peer, and what a reader learns from each answer."""

from dataclasses import dataclass

__all__ = ["TASKS", "Task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task.

    Attributes:
        name: begins the names of its two scripts.
        peer: the library; in lower case it ends the name of its script.
        title: a few words.
        question: what is asked, with the data.
        reading: what both outputs say about trust.
    """

    name: str
    peer: str
    title: str
    question: str
    reading: str


TASKS = (
    Task(
        name="trial",
        peer="statsmodels",
        title="A trial with covariates",
        question="Did the training of the National Supported Work trial raise earnings in 1978?",
        reading=(
            "statsmodels prints the coefficient with an error that holds under unequal variances, tests of the "
            "residuals and a warning on the scale of the columns. Whether the trial was one is not its question. "
            "CQOx answers GO, on Lin's regression, which was fixed before the estimates: the arms were compared "
            "by every covariate, nobody is missing, 24 estimates agree, and what no data can show is named (that no "
            "training changed the earnings of another)."
        ),
    ),
    Task(
        name="observational",
        peer="DoubleML",
        title="A comparison that is not a trial",
        question="The trained of that trial against people of a survey (CPS). The trial says what to find: 1,794.",
        reading=(
            "DoubleML prints a loss of more than 7,000 with an error below 300, and no word on the overlap: most "
            "people of the survey had no chance of being in the programme, so their outcome with training is "
            "extrapolated. CQOx prints estimates between -8,500 and 2,000 and answers HOLD: the gates on overlap "
            "and balance fail, the headline says that the number is not to be read as an effect, and which "
            "covariate does not balance. Only the effects on the treated come near the trial. (The learners "
            "matter to DoubleML's number, not to its silence.)"
        ),
    ),
    Task(
        name="heterogeneity",
        peer="EconML",
        title="Effects that vary",
        question="Did those who stopped smoking gain weight, and does the gain vary with what was measured before?",
        reading=(
            "EconML prints the mean with an interval that it calls conservative, the spread of the predicted "
            "effects, and the weight of each covariate in the forest, all of which look as if effects vary. CQOx "
            "judges the predicted effects on rows that were not used to predict them: five groups from the least "
            "to the most predicted effect do not differ (the p-value is printed last), so no variation is shown."
        ),
    ),
    Task(
        name="refutation",
        peer="DoWhy",
        title="An estimate that someone tries to refute",
        question="The same gain in weight: does the estimate survive attempts to refute it?",
        reading=(
            "DoWhy prints the assumption of the estimate and three refutations with p-values to be read one by "
            "one; none is a verdict. CQOx runs its refuters under one gate, which the verdict reads. Both say "
            "that the answer rests on what was measured; CQOx also says how it is backed: the request declares "
            "it."
        ),
    ),
    Task(
        name="series",
        peer="CausalImpact",
        title="An event in a series",
        question="Did the return of Google's share change with the announcement of Alphabet, given the S&P 500?",
        reading=(
            "CausalImpact compares with the S&P 500 and reports in words. Its two outputs disagree: the report "
            "calls the effect statistically significant and gives a p-value near one half a few lines later. CQOx "
            "shows no effect and answers HOLD, and says which break before the announcement it could have "
            "detected."
        ),
    ),
)
