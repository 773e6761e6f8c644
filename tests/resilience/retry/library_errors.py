"""Exceptions of clients, as their libraries raise them."""

import aiohttp
import grpc
import grpc.aio
import httpx
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

__all__ = ["REQUEST", "aiohttp_status", "caused", "named", "rpc", "status"]


REQUEST = httpx.Request("GET", "http://engine/")


def status(code: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError(str(code), request=REQUEST, response=httpx.Response(code, request=REQUEST))


def aiohttp_status(code: int) -> aiohttp.ClientResponseError:
    headers = CIMultiDictProxy(CIMultiDict[str]())
    url = URL("http://engine/")
    return aiohttp.ClientResponseError(aiohttp.RequestInfo(url, "GET", headers, url), (), status=code)


def rpc(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def named(module: str, name: str, *bases: type[BaseException], **attributes: object) -> BaseException:
    """An exception that looks like one of a library that is not installed here."""
    error = type(name, bases or (Exception,), {"__module__": module})()
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error
