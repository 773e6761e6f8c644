"""The result cache on a Redis server."""

from cqox.storage.redis.address import check_address
from cqox.storage.redis.cache import RedisCache

__all__ = ["RedisCache", "check_address"]
