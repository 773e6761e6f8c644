"""Write the dashboard: `python -m deploy.grafana`."""

import sys

from deploy.grafana.dashboard import WRITTEN, rows, text

WRITTEN.write_text(text(), encoding="utf-8")
sys.stdout.write(f"{sum(len(row.panels) for row in rows())} panels\n")
