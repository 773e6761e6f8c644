"""Build the site: `python -m tools.site [FOLDER]`; it ends with status 1 where zensical finds a broken link."""

import subprocess
import sys
from pathlib import Path

from tools.site import api
from tools.site.staging import LANGUAGES, Site, stage

__all__ = ["build", "main"]

_ROOT = Path(__file__).parents[2]


def build(into: Path) -> int:
    """Build both languages; return the first status that is not 0.

    Args:
        into: gets `pages` (what zensical reads), `zensical.toml` of each language, and the site in `site`.
    """
    pages = api.pages(api.load())
    for language in LANGUAGES:
        stage(Site(root=_ROOT, language=language, api=pages), into / "pages" / language)
        configuration = into / f"zensical.{language}.toml"
        configuration.write_text((_ROOT / "docs" / configuration.name).read_text(encoding="utf-8"), encoding="utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(configuration)]
        if status := subprocess.run(command, cwd=into, check=False).returncode:
            return status
    return 0


def main(arguments: list[str]) -> int:
    """Build into the folder that is named, by default `build/docs`."""
    into = Path(arguments[0] if arguments else _ROOT / "build" / "docs").resolve()
    into.mkdir(parents=True, exist_ok=True)
    status = build(into)
    if not status:
        # A browser that reads files finds the pages, and no index for the search.
        print(f"The site is in {into / 'site'}. To read it: python -m http.server --directory {into / 'site'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
