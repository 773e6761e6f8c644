from causaldata import nsw_mixtape

import cqox

df = nsw_mixtape.load_pandas().data
covariates = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
print(cqox.analyze(df, y="re78", treatment="treat", covariates=covariates, assignment="randomized"))
