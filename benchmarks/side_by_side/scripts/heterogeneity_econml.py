from causaldata import nhefs_complete
from econml.dml import CausalForestDML
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

covariates = ["sex", "race", "age", "school", "smokeintensity", "smokeyrs", "exercise", "active", "wt71"]
df = nhefs_complete.load_pandas().data[["wt82_71", "qsmk", *covariates]].astype(float)
outcome = make_pipeline(StandardScaler(), LassoCV())
propensity = make_pipeline(StandardScaler(), LogisticRegression())
model = CausalForestDML(model_y=outcome, model_t=propensity, discrete_treatment=True, random_state=0)
model.fit(df["wt82_71"], df["qsmk"], X=df[covariates])
print(model.ate_inference(df[covariates]))
print(dict(zip(covariates, model.feature_importances_, strict=True)))
