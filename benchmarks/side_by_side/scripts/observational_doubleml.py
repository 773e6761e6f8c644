import doubleml
import pandas as pd
from causaldata import cps_mixtape, nsw_mixtape
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

trial, survey = nsw_mixtape.load_pandas().data, cps_mixtape.load_pandas().data
df = pd.concat([trial[trial.treat == 1], survey], ignore_index=True)
covariates = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
data = doubleml.DoubleMLData(df, y_col="re78", d_cols="treat", x_cols=covariates)
outcome = make_pipeline(StandardScaler(), LassoCV())
propensity = make_pipeline(StandardScaler(), LogisticRegression())
print(doubleml.DoubleMLIRM(data, ml_g=outcome, ml_m=propensity).fit().summary)
