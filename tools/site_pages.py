"""Hooks of mkdocs: pages of the site that are not files of docs/.

README, CONTRIBUTING and NEWS become pages; files that pages link to are copied; the pages of the
Python functions and commands are generated. The folder .site holds what R made (tools/site): its
files are copied, and its pages are added to the search.
"""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent
MADE_BY_R = ROOT / ".site"
PAGES = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "NEWS.md": "news.md",
    "docs/README.md": "index.md",
    "examples/README.md": "examples.md",
}
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)]*)?\))")
SHOWN_BY_BROWSERS = {".csv", ".html", ".json", ".pdf", ".png", ".svg", ".txt"}

sys.path.insert(0, str(ROOT / "python"))


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    from mkdocs.structure.files import File

    sources = {ROOT / source: page for source, page in PAGES.items() if source != "docs/README.md"}
    sources |= {Path(file.abs_src_path or ""): file.src_uri for file in files.documentation_pages()}
    linked: dict[str, Path] = {}
    for source, page in sources.items():
        text = LINK.sub(lambda link, s=source: rewritten(link, s, linked), source.read_text())
        if page == "examples.md":
            text += example_code()
        if page in files.src_uris:
            files.remove(files.src_uris[page])
        files.append(File.generated(config, page, content=text))
    for name, text in (("python.md", python_functions()), ("commands.md", commands())):
        files.append(File.generated(config, name, content=text))
    for target, path in linked.items():
        files.append(File.generated(config, target, abs_src_path=str(path)))
    for path in sorted(MADE_BY_R.rglob("*")):
        if path.is_file():
            target = path.relative_to(MADE_BY_R).as_posix()
            files.append(File.generated(config, target, abs_src_path=str(path)))
    return files


def rewritten(link: re.Match[str], source: Path, linked: dict[str, Path]) -> str:
    """Return the link with its target in the site, and add files that are not pages to `linked`."""
    before, target, after = link.groups()
    if re.match(r"[a-z]+:", target):
        return link[0]
    page = sources_page(source)
    if not (source.parent / target).exists() and (MADE_BY_R / target).exists():
        return link[0]  # a page made by R
    path = (source.parent / target).resolve()
    name = path.relative_to(ROOT).as_posix()
    if name in PAGES or (path.parent == ROOT / "docs" and path.suffix == ".md"):
        place = sources_page(path)
    else:
        place = f"files/{name}" + ("" if path.suffix in SHOWN_BY_BROWSERS else ".txt")
        linked[place] = path
    return before + os.path.relpath(place, PurePosixPath(page).parent) + after


def sources_page(source: Path) -> str:
    name = source.relative_to(ROOT).as_posix()
    return PAGES.get(name, name.removeprefix("docs/"))


def example_code() -> str:
    """A section for each program of examples/, with its code."""
    languages = {".py": "python", ".R": "r"}
    return "".join(
        f"\n## {path.name}\n\n```{languages[path.suffix]}\n{path.read_text()}```\n"
        for path in sorted((ROOT / "examples").iterdir())
        if path.suffix in languages
    )


def python_functions() -> str:
    """The public functions and classes, each documented by its docstring."""
    import sense

    parts = ["# Python functions and classes"]
    for name in sorted(sense.__all__):
        parts.append(f"::: sense.{name}")
        if name == "Config":  # its many options are described by the help of the command
            parts[-1] += "\n    options: {show_signature: false, members: [from_file, resolved]}"
            parts.append("The options are those of [python -m sense.train](commands.md).")
    return "\n\n".join(parts) + "\n"


def commands() -> str:
    """The help of all commands that the help page of the package names."""
    import sense

    parts = ["# Commands\n"]
    for module in dict.fromkeys(re.findall(r"python -m (sense\.\w+)  ", sense.__doc__ or "")):
        shown = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "88", "PYTHONPATH": str(ROOT / "python")},
        )
        parts.append(f"## python -m {module}\n\n```text\n{shown.stdout.rstrip()}\n```\n")
    return "\n".join(parts)


class PageSections(HTMLParser):
    """The title of a page, and title, id and text of the sections of its <main> element."""

    def __init__(self) -> None:
        super().__init__()
        self.title = ""
        self.sections = [{"title": "", "id": "", "text": ""}]
        self._id = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._id = dict(attrs).get("id") or self._id
        if tag == "h2":
            self.sections.append({"title": "", "id": self._id, "text": ""})
        if tag in ("main", "h1", "h2", "script", "style"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self._open):
            return
        if "h1" in self._open:
            self.title += data
        elif "h2" in self._open:
            self.sections[-1]["title"] += data
        elif "main" in self._open:
            self.sections[-1]["text"] += data


def on_post_build(config: "MkDocsConfig") -> None:
    """Add R's pages to the search index."""
    path = Path(config.site_dir) / "search/search_index.json"
    index = json.loads(path.read_text())
    for page in sorted((Path(config.site_dir) / "r").rglob("*.html")):
        parsed = PageSections()
        parsed.feed(page.read_text())
        location = page.relative_to(config.site_dir).as_posix()
        for section in parsed.sections:
            anchor = f"#{section['id']}" if section["title"] else ""
            title = section["title"] or f"R: {parsed.title}"
            index["docs"].append(
                {
                    "location": location + anchor,
                    "title": " ".join(title.split()),
                    "text": " ".join(section["text"].split()),
                }
            )
    path.write_text(json.dumps(index))
