"""Run the sessions of docs/first-ten-minutes-*.md and write their output into the pages.

    tools/transcripts.py                   all pages
    tools/transcripts.py PAGE ...          these pages

Each block of R or Python code, and each command `python -m sense...`, is run in the order of the
page, in one session and one new folder. The block ```text after it is its output.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("first-ten-minutes-*.md"))
BLOCK = re.compile(r"^```(python|r|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.M | re.S)
MARK = "=== end of block ==="

PYTHON_SESSION = """
import ast, subprocess, sys

def run(code, names):
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "block", "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "block", "eval"), names)
        if value is not None:
            print(value)

def command(line):
    words = [sys.executable, *line.split()[1:]]
    subprocess.run(words, check=True, stdout=sys.stdout, stderr=sys.stderr)

names = {}
"""


def blocks(page: str) -> list[tuple[str, str, str]]:
    """The blocks that are run: language, code and the output that the page shows."""
    found = [(match[1], match[2], match[3] or "") for match in BLOCK.finditer(page)]
    return [block for block in found if is_run(*block[:2])]


def is_run(language: str, code: str) -> bool:
    return language != "sh" or code.startswith("python -m sense")


def outputs(page: str) -> list[str]:
    """Run the blocks of a page; return what each prints."""
    run = blocks(page)
    language = next(language for language, _, _ in run if language != "sh")
    script = [] if language == "r" else [PYTHON_SESSION]
    for block_language, code, _ in run:
        if language == "r":
            script.append(f"source(exprs = parse(text = {r_string(code)}), print.eval = TRUE)")
            script.append(f'cat("{MARK}\\n")')
        else:
            call = f"run({code!r}, names)" if block_language == "python" else f"command({code!r})"
            script += [call, f"print({MARK!r}, flush=True)"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"session.{'R' if language == 'r' else 'py'}"
        file.write_text("\n".join(script))
        done = subprocess.run(
            ["Rscript" if language == "r" else sys.executable, str(file)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"the session failed:\n{done.stdout}")
    printed = done.stdout.replace(folder, "...").split(MARK + "\n")[: len(run)]
    return ["\n".join(line.rstrip() for line in text.splitlines()).strip("\n") for text in printed]


def r_string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def with_outputs(page: str) -> str:
    """Return the page with the present output of its blocks."""
    printed = iter(outputs(page))

    def block(match: re.Match[str]) -> str:
        code = f"```{match[1]}\n{match[2]}```\n"
        shown = next(printed) if is_run(match[1], match[2]) else ""
        return code + (f"\n```text\n{shown}\n```\n" if shown else "")

    return BLOCK.sub(block, page)


def main() -> None:
    for page in [Path(name).resolve() for name in sys.argv[1:]] or PAGES:
        page.write_text(with_outputs(page.read_text()))
        print(f"{page.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
