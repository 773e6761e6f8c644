"""Data frames of other libraries: in as an Arrow file, which every reader of CQOx takes, and out as a table."""

from cqox.frames.arrow import Taken, as_polars, take
from cqox.frames.kinds import FrameKind, is_frame, kind_of
from cqox.frames.native import Form, to_native

__all__ = ["Form", "FrameKind", "Taken", "as_polars", "is_frame", "kind_of", "take", "to_native"]
