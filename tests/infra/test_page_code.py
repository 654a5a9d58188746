"""Rules of the page's code that no linter knows: no text becomes markup, and everything named is there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "functions" / "serve_page" / "page"
MODULES = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))}
API = json.loads((ROOT / "shared" / "api" / "openapi.json").read_text(encoding="utf-8"))
MOST_LINES = 400
PLURALS = {"zero", "one", "two", "few", "many", "other"}

# A message's own frame is the one place for markup: its text goes in as `srcdoc`.
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML\w*|parseHTML\w*"
    r"|DOMParser|\beval\b|new Function|javascript:"
)
IMPORT = re.compile(r"""\b(?:from|import)[ (]*["']([^"'\s]+)["']""")
NAMED_IN_HTML = re.compile(r'(?:src|href)="([^"]+)"')
CALL = re.compile(r"\bapi\.(get|post|put|patch|delete)\(\s*([\"`])(/[^\"`?]*)")
TEXT_KEY = re.compile(r"""\b(?:t|hasText)\(\s*(?:"([^"]+)"|`([^`]+)`)""")
VALUE = re.compile(r"\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")


def texts() -> set[str]:
    """The keys of texts.js, as the page's JavaScript reads them."""
    program = MODULES["texts.js"] + "\nconsole.log(JSON.stringify(texts));"
    deno = shutil.which("deno")
    assert deno, "deno comes with requirements-dev.txt"
    ran = subprocess.run(
        [deno, "run", "--quiet", "--no-lock", "--no-remote", "--ext=js", "-"],
        input=program, capture_output=True, text=True, check=True,
        env={"DENO_DIR": str(ROOT / ".local" / "cache" / "deno"), "DENO_NO_UPDATE_CHECK": "1"},
    )  # fmt: skip

    def keys(part, before):
        for name, value in part.items():
            # A text that depends on a count has a form for each plural category.
            if isinstance(value, str) or ("other" in value and set(value) <= PLURALS):
                yield before + name
            else:
                yield from keys(value, f"{before}{name}.")

    return set(keys(json.loads(ran.stdout), ""))


@pytest.mark.parametrize("name", MODULES)
def test_no_text_becomes_markup_or_code(name):
    found = [line for line in MODULES[name].splitlines() if MARKUP.search(line)]
    assert not found


# The words are all in one place, for who translates them.
@pytest.mark.parametrize("name", sorted(MODULES.keys() - {"texts.js"}))
def test_every_module_is_short_enough_to_read(name):
    assert len(MODULES[name].splitlines()) <= MOST_LINES, "split it by decision"


@pytest.mark.parametrize("name", MODULES)
def test_every_import_is_of_a_module_that_is_there(name):
    missing = [it for it in IMPORT.findall(MODULES[name]) if it.removeprefix("./") not in MODULES]
    assert not missing


def test_every_module_is_reached_from_the_first():
    reached, left = set(), ["app.js"]
    while left:
        name = left.pop()
        reached.add(name)
        left += {it.removeprefix("./") for it in IMPORT.findall(MODULES[name])} - reached
    assert reached == set(MODULES)


def test_the_document_names_files_that_are_there():
    named = NAMED_IN_HTML.findall((PAGE / "index.html").read_text(encoding="utf-8"))
    assert named
    assert not [it for it in named if not (PAGE / it.removeprefix("app/")).is_file()]


@pytest.mark.parametrize("name", MODULES)
def test_every_call_is_one_that_the_api_has(name):
    routes = {
        f"{method} {re.sub(r'{[^}]*}', '{}', path)}"
        for path, methods in API["paths"].items()
        for method in methods
    }
    called = {
        f"{method} {VALUE.sub('{}', path)}" for method, _, path in CALL.findall(MODULES[name])
    }
    # A value may stand for the query as well, which is no part of the route.
    assert not {it for it in called if it not in routes and it.removesuffix("{}") not in routes}


def asked_for() -> dict[str, str]:
    """What is asked for as a text, as a pattern of its key, with the module that does."""
    found = {}
    for name, code in MODULES.items():
        for literal, template in TEXT_KEY.findall(code):
            parts = map(re.escape, VALUE.split(template or literal))
            found[r"\w+".join(parts)] = name
    return found


def test_every_text_that_is_asked_for_is_there():
    there = texts()
    assert there
    asked = asked_for()
    assert not {it: asked[it] for it in asked if not any(re.fullmatch(it, key) for key in there)}


def test_no_text_is_left_over():
    # A table may hold a key, or a function be given a group, that is asked for elsewhere: whatever
    # reads as one counts.
    code = "".join(text for name, text in MODULES.items() if name != "texts.js")
    used = {re.escape(key) for key in re.findall(r'"([\w.-]+)"', code)}
    used |= {re.escape(key) for key, _ in TEXT_KEY.findall(MODULES["texts.js"]) if key}
    for template in re.findall(r"`([a-z][\w.]*\$[^`\s]+)`", code):
        used.add(r"[\w-]+".join(map(re.escape, VALUE.split(template))))
    is_used = re.compile("|".join(used)).fullmatch
    assert not [key for key in texts() if not is_used(key) and not is_used(key.rpartition(".")[0])]
