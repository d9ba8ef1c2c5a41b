"""Files of the repository that belong to the site: pages, and the recipes that pages name."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "results.md",
}
FOLDERS = ("studies", "search_spaces")
_ORIGINS = {page: source for source, page in PAGES.items()}
_LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)#]+)((?:#[^)]*)?)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the recipes to the files of the site."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.*"))):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to where the site has them.

    A link to a file that the site has not becomes its text. One to no file is left, so that a
    strict build ends with it.
    """
    origin = PurePosixPath(_ORIGINS.get(page.file.src_uri, f"docs/{page.file.src_uri}")).parent

    def led(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = normpath((origin / target).as_posix())
        if path in PAGES:
            return f"[{text}]({PAGES[path]}{anchor})"
        if PurePosixPath(path).parts[0] in FOLDERS and (ROOT / path).is_file():
            return f"[{text}]({path})"
        if path.startswith("docs/"):
            return f"[{text}]({path.removeprefix('docs/')}{anchor})"
        return text if (ROOT / path).exists() else link[0]

    return _LINK.sub(led, markdown) if "/" not in page.file.src_uri else markdown
