"""Data frames of other libraries: in as an Arrow file, which every reader of CQOx takes, and out as a table."""

from cqox.frames.arrow import Taken, take
from cqox.frames.kinds import FrameKind, is_frame, kind_of
from cqox.frames.native import Form, to_native

__all__ = ["Form", "FrameKind", "Taken", "is_frame", "kind_of", "take", "to_native"]
