"""The documentation site: `python -m tools.site`, or `make docs`.

Pages are Markdown that a code host shows as it is. For the site, `markdown` turns marked voices into tabs and diagrams
into text, `staging` gathers pages and rewrites links, `notebooks` and `api` make pages of examples and docstrings, and
zensical builds the result in strict mode, English into `site` and Japanese into `site/ja`.
"""
