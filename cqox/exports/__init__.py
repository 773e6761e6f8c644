"""Documents made of a finished report: HTML, PDF, PowerPoint, Word, Markdown and CSV."""

from cqox.exports.formats import export

__all__ = ["export"]
