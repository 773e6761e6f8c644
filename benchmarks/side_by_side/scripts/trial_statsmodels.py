import statsmodels.formula.api as smf
from causaldata import nsw_mixtape

df = nsw_mixtape.load_pandas().data
formula = "re78 ~ treat + age + educ + black + hisp + marr + nodegree + re74 + re75"
print(smf.ols(formula, df).fit(cov_type="HC2").summary())
