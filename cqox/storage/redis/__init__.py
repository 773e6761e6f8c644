"""The result cache on a Redis server."""

from cqox.storage.redis.cache import RedisCache

__all__ = ["RedisCache"]
