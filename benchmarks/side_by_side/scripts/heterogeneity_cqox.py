from causaldata import nhefs_complete

import cqox

covariates = ["sex", "race", "age", "school", "smokeintensity", "smokeyrs", "exercise", "active", "wt71"]
df = nhefs_complete.load_pandas().data[["wt82_71", "qsmk", *covariates]]
report = cqox.analyze(df, y="wt82_71", treatment="qsmk", covariates=covariates, assignment="unconfounded")
print(report)
judged = report["dr_learner"].diagnostics["judged_by_scores"]
print([group["estimate"] for group in judged["groups"]], judged["equal_groups"])
