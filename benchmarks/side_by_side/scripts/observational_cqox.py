import pandas as pd
from causaldata import cps_mixtape, nsw_mixtape

import cqox

trial, survey = nsw_mixtape.load_pandas().data, cps_mixtape.load_pandas().data
df = pd.concat([trial[trial.treat == 1], survey])
covariates = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
print(cqox.analyze(df, y="re78", treatment="treat", covariates=covariates, assignment="unconfounded"))
