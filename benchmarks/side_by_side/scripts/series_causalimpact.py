from causaldata import google_stock
from causalimpact import CausalImpact

df = google_stock.load_pandas().data
start = int((df["Date"] >= "2015-08-10").idxmax())
impact = CausalImpact(df[["Google_Return", "SP500_Return"]], [0, start - 1], [start, len(df) - 1])
print(impact.summary())
print(impact.summary(output="report"))
