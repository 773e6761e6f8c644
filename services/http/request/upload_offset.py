"""Header and media type of a piece of an upload, in the manner of the drafts on resumable uploads for HTTP."""

__all__ = ["PIECE_TYPE", "UPLOAD_OFFSET"]

UPLOAD_OFFSET = "Upload-Offset"
"""Header with the position of a piece in a request, and of the next one in a response."""

PIECE_TYPE = "application/offset+octet-stream"
"""Media type of a piece."""
