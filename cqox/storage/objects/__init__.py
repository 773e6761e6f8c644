"""Files of tenants in an object store, so that engines need no common file system; it imports `obstore` once opened."""

from cqox.storage.objects.address import ObjectStoreAddress
from cqox.storage.objects.volume import ObjectVolume

__all__ = ["ObjectStoreAddress", "ObjectVolume"]
