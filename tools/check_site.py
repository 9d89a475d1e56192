"""Check a built site in a headless Chromium: `tools/check_site.py DIR [--screenshots DIR]`.

From index.html every page is opened that a link leads to, at 1,280 and at 390 pixels. Reported are
broken links and anchors, pictures that do not load, requests to other places, errors in the
console, and pages that are wider than the window. The search must find words of both languages.
Needs the package playwright and Chromium (CHROMIUM names it if it is not on the PATH).
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

WIDTHS = (1280, 390)
HEIGHT = 900
SEARCHED = {"train_sense": "r/reference/train_sense.html", "cuda-graphs": "commands.html"}
LINKS = """() => [...document.querySelectorAll("a[href]")].map(a => a.href)"""
IDS = """() => [...document.querySelectorAll("[id], a[name]")].map(e => e.id || e.name)"""
BROKEN_PICTURES = """() => [...document.images]
    .filter(image => { image.loading = "eager"; return !image.complete || !image.naturalWidth })
    .map(image => image.currentSrc || image.src)"""
WIDER_THAN_WINDOW = "() => document.documentElement.scrollWidth - window.innerWidth"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for a picture of each page")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        sys.exit("no Chromium found: install it (Debian: apt install chromium) or set CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        found = SiteCheck(browser, arguments.site.resolve(), arguments.screenshots).run()
        browser.close()
    for fault in found:
        print(fault)
    return 1 if found else 0


class SiteCheck:
    """Faults of a site, found by following its links from index.html."""

    def __init__(self, browser: Browser, site: Path, screenshots: Path | None) -> None:
        self.browser, self.site, self.screenshots = browser, site, screenshots
        self.ids: dict[Path, set[str]] = {}
        self.anchors: list[tuple[Path, Path, str]] = []
        self.faults: list[str] = []

    def run(self) -> list[str]:
        if not (self.site / "index.html").exists():
            return [f"{self.site} has no index.html: build the site first"]
        to_open, opened = [self.site / "index.html"], set()
        while to_open:
            path = to_open.pop(0)
            if path not in opened:
                opened.add(path)
                to_open += self.open_page(path)
        for source, target, anchor in self.anchors:
            if target in self.ids and anchor not in self.ids[target]:
                self.fault(source, f"there is no #{anchor} in {self.name(target)}")
        for word, page in SEARCHED.items():
            self.search(word, page)
        print(f"{len(opened)} pages checked, {len(self.faults)} faults")
        return self.faults

    def open_page(self, path: Path) -> list[Path]:
        """Check a page at all widths; return the pages that it links to."""
        page = self.new_page(path)
        page.goto(path.as_uri())
        self.ids[path] = set(page.evaluate(IDS))
        for picture in page.evaluate(BROKEN_PICTURES):
            self.fault(path, f"the picture {picture} does not load")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            if (excess := page.evaluate(WIDER_THAN_WINDOW)) > 0:
                self.fault(path, f"the page is {excess} pixels wider than a window of {width}")
            if self.screenshots:
                name = self.name(path).replace("/", "-")
                page.screenshot(path=self.screenshots / f"{name}-{width}.png", full_page=True)
        linked = list(self.linked_pages(path, page.evaluate(LINKS)))
        page.close()
        return linked

    def new_page(self, path: Path) -> Page:
        """Return a page that reports requests to other places and errors as faults of `path`."""
        page = self.browser.new_page(viewport={"width": WIDTHS[0], "height": HEIGHT})

        def on_request(url: str) -> None:
            if urlparse(url).scheme not in ("file", "data", "blob"):
                self.fault(path, f"the page loads {url}")

        page.on("request", lambda request: on_request(request.url))
        page.on("requestfailed", lambda request: self.fault(path, f"{request.url} does not load"))
        page.on("pageerror", lambda error: self.fault(path, f"error in a script: {error}"))
        page.on(
            "console",
            lambda message: (
                self.fault(path, f"console: {message.text}") if message.type == "error" else None
            ),
        )
        return page

    def linked_pages(self, source: Path, links: list[str]) -> Iterator[Path]:
        for link in links:
            address, anchor = urldefrag(link)
            parsed = urlparse(address)
            if parsed.scheme != "file":
                continue
            target = Path(unquote(parsed.path))
            if not target.is_file():
                self.fault(source, f"the link to {link} is broken")
            elif target.suffix == ".html":
                if anchor:
                    self.anchors.append((source, target, unquote(anchor)))
                yield target

    def search(self, word: str, expected: str) -> None:
        path = self.site / "index.html"
        page = self.new_page(path)
        page.goto(path.as_uri())
        page.keyboard.press("/")  # opens the search
        page.keyboard.type(word)
        try:
            page.wait_for_selector(f'.md-search-result a[href*="{expected}"]', state="attached")
        except TimeoutError:
            self.fault(path, f"the search for {word} does not find {expected}")
        page.close()

    def fault(self, path: Path, text: str) -> None:
        self.faults.append(f"{self.name(path)}: {text}")

    def name(self, path: Path) -> str:
        return path.relative_to(self.site).as_posix()


if __name__ == "__main__":
    sys.exit(main())
