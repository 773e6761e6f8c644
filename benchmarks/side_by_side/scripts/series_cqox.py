from causaldata import google_stock

import cqox

df = google_stock.load_pandas().data
df["after"] = (df["Date"] >= "2015-08-10").astype(int)
print(cqox.analyze(df, y="Google_Return", time="Date", treatment="after", proxy_outcome="SP500_Return"))
