"""Write the dashboards: `python -m deploy.grafana`."""

import sys

from deploy.grafana.dashboard import DASHBOARDS, FOLDER, text

for each in DASHBOARDS:
    (FOLDER / f"{each.id}.json").write_text(text(each), encoding="utf-8")
    sys.stdout.write(f"{each.id}: {len(each.panels)} panels\n")
