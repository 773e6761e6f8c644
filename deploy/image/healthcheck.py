"""Ends with 0 while the service on this port takes requests, for HEALTHCHECK: `healthcheck.py PORT`.

A service that starts or drains is not healthy; one that has to do without a store or an engine is.
"""

import sys
from http.client import HTTPConnection, HTTPException

connection = HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=2.5)
try:
    connection.request("GET", "/health/ready")
    answer = connection.getresponse()
    sys.stdout.write(answer.read(2000).decode("utf-8", "replace"))
    sys.exit(answer.status != 200)
except (OSError, HTTPException) as error:
    sys.stdout.write(str(error))
    sys.exit(1)
