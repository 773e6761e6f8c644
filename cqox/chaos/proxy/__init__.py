"""A TCP proxy on Trio that breaks what it carries: late, slow, lost, cut, corrupted or refused."""

from cqox.chaos.proxy.conditions import Conditions, HttpFault
from cqox.chaos.proxy.proxy import FaultProxy, open_proxy

__all__ = ["Conditions", "FaultProxy", "HttpFault", "open_proxy"]
