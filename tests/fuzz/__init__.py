"""Raw exchanges with the running services: bytes that no client sends, and what must hold after them."""
