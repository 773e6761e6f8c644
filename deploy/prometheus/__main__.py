"""Write the rules: `python -m deploy.prometheus`."""

import sys
from pathlib import Path

from deploy.prometheus.alerts import ALERTS
from deploy.prometheus.rules import text

(Path(__file__).parent / "rules.yml").write_text(text(), encoding="utf-8")
sys.stdout.write(f"{len(ALERTS)} alerts\n")
