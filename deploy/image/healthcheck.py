"""Ends with 0 while the service on this port takes requests, for HEALTHCHECK: `healthcheck.py PORT [PATH]`.

It asks for `/health/ready`, or for another path where one is given, such as by a liveness probe. A service that starts
or drains is not healthy; one that has to do without a store or an engine is. With `CQOX_TLS_DIR` it asks by https, and
shows the service its own certificate, which opens the health paths.
"""

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

folder = os.environ.get("CQOX_TLS_DIR", "").strip()
try:
    if folder:
        current = os.path.realpath(os.path.join(folder, "current"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(os.path.join(current, "ca.pem"))
        # Its own certificate may be one of a public authority.
        context.load_verify_locations(os.path.join(current, "cert.pem"))
        context.load_cert_chain(os.path.join(current, "cert.pem"), os.path.join(current, "key.pem"))
        connection = HTTPSConnection("127.0.0.1", int(sys.argv[1]), timeout=2.5, context=context)
    else:
        connection = HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=2.5)
    connection.request("GET", sys.argv[2] if len(sys.argv) > 2 else "/health/ready")
    answer = connection.getresponse()
    sys.stdout.write(answer.read(2000).decode("utf-8", "replace"))
    sys.exit(answer.status != 200)
except (OSError, HTTPException) as error:
    sys.stdout.write(str(error))
    sys.exit(1)
