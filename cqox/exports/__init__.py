"""Documents made of a finished report: HTML, PDF, PowerPoint, Word, Markdown and CSV."""

from cqox.exports.formats import FORMATS, Format, FormatInfo, export

__all__ = ["FORMATS", "Format", "FormatInfo", "export"]
