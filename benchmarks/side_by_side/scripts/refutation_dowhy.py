from causaldata import nhefs_complete
from dowhy import CausalModel

covariates = ["sex", "race", "age", "school", "smokeintensity", "smokeyrs", "exercise", "active", "wt71"]
df = nhefs_complete.load_pandas().data[["wt82_71", "qsmk", *covariates]].astype(float)
df["qsmk"] = df["qsmk"].astype(bool)
model = CausalModel(df, treatment="qsmk", outcome="wt82_71", common_causes=covariates)
estimand = model.identify_effect(proceed_when_unidentifiable=True)
estimate = model.estimate_effect(estimand, method_name="backdoor.propensity_score_weighting", confidence_intervals=True)
print(estimate)
for method in ("placebo_treatment_refuter", "random_common_cause", "data_subset_refuter"):
    print(model.refute_estimate(estimand, estimate, method_name=method, num_simulations=100))
