"""The site: links of the pages lead to pages or files of the site, and its check finds faults."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import site_pages


def links_of(text, source):
    linked = {}
    for link in site_pages.LINK.finditer(text):
        yield site_pages.rewritten(link, ROOT / source, linked), linked


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("README.md", "[a](docs/methods.md#boundary-rules)", "](methods.md#boundary-rules)"),
        ("docs/methods.md", "[a](results.md)", "](results.md)"),
        ("docs/index.md", "[a](../README.md)", "](overview.md)"),
        ("docs/index.md", "[a](README.md)", "](index.md)"),
        ("README.md", "[a](tools/demo)", "](files/tools/demo.txt)"),
        (
            "docs/results.md",
            "![a](../inst/extdata/mnist-demo-seeds.png)",
            "](files/inst/extdata/mnist-demo-seeds.png)",
        ),
        ("README.md", "[a](https://example.org/x.md)", "](https://example.org/x.md)"),
    ],
)
def test_links_lead_to_the_pages_and_files_of_the_site(source, text, expected):
    ((link, linked),) = links_of(text, source)
    assert link == expected
    for target, path in linked.items():
        assert target in link
        assert path.is_file()


def test_the_search_finds_the_sections_of_a_page_of_r():
    page = site_pages.PageSections()
    page.feed(
        '<body><nav>menu</nav><main id="main"><h1>A title</h1><p>Some text.</p><div id="arguments">'
        "<h2>Arguments</h2><p>x: a number</p><script>code()</script></div></main></body>"
    )
    assert page.title == "A title"
    assert page.sections == [
        {"title": "", "id": "", "text": "Some text."},
        {"title": "Arguments", "id": "arguments", "text": "x: a number"},
    ]


FAULTS = {
    "a link to a missing page": ('<a href="missing.html">x</a>', "is broken"),
    "a link to a missing section": ('<a href="other.html#nowhere">x</a>', "there is no #nowhere"),
    "a missing picture": ('<img src="missing.png">', "does not load"),
    "a request to another place": ('<img src="https://example.org/x.png">', "the page loads"),
    "an error in a script": ("<script>undefined_function()</script>", "error in a script"),
    "an error in the console": ("<script>console.error('wrong')</script>", "console: wrong"),
    "a page that is too wide": ('<div style="width: 800px">x</div>', "wider than a window of 390"),
}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_of_the_site_finds(fault, tmp_path: Path):
    pytest.importorskip("playwright")
    body, message = FAULTS[fault]
    (tmp_path / "index.html").write_text('<a href="other.html#here">x</a>' + body)
    (tmp_path / "other.html").write_text('<p id="here">x</p>')
    check = [sys.executable, str(ROOT / "tools/check_site.py"), str(tmp_path)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 1
    found = [line for line in done.stdout.splitlines() if message in line]
    assert found, done.stdout
    assert all(re.match(r"index\.html: ", line) for line in found)
