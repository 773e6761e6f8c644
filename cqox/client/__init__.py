"""A client of the services: the reports of `cqox.analyze`, computed by a server."""

from cqox.client.access_tokens import ClientCredentials
from cqox.client.async_client import AsyncClient
from cqox.client.async_job import AsyncJob
from cqox.client.events import JobEvent
from cqox.client.sync_client import Client
from cqox.client.sync_job import Job

__all__ = ["AsyncClient", "AsyncJob", "Client", "ClientCredentials", "Job", "JobEvent"]
