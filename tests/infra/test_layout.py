"""Rules of the tree that prose would let drift: what stands in shared/, and how modules look."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("functions", "shared")
CHECKED = (*SHIPPED, "infra")

# Closed lists. A new name needs a decision record in infra/decisions/.
TOP_LEVEL = {
    "functions", "shared", "infra", "tests",
    "template.yaml", "samconfig.toml", "pyproject.toml", "README.md", "LICENSE",
    "requirements.txt", "requirements-dev.txt",
}  # fmt: skip
SHARED = {
    "domain", "ports", "operations", "providers", "mime", "aws", "api",
    "config.py", "observability.py", "observability_of_runs.py",
    "wiring.py", "wiring_of_changes.py", "wiring_of_delivery.py", "wiring_of_events.py", "wiring_of_limits.py",
    "wiring_of_push.py", "wiring_of_sending.py", "wiring_of_sign_ins.py",
    "__init__.py",
}  # fmt: skip
DRAWERS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "base",
    "tools",
    "manager",
    "core",
}
MOST_LINES = 400


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "__pycache__"}


def test_top_level_is_the_closed_list():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True).stdout.decode()
    top = {name.split("/")[0] for name in listed.split("\0") if name}
    assert {name for name in top if not name.startswith(".")} == TOP_LEVEL


def test_shared_is_the_closed_list():
    assert entries(ROOT / "shared") == SHARED


@pytest.mark.parametrize("folder", CHECKED)
def test_no_junk_drawer(folder):
    drawers = [name_of(path) for path in (ROOT / folder).rglob("*") if path.stem in DRAWERS]
    assert not drawers


def test_a_function_is_a_folder_with_a_handler():
    folders = [path for path in (ROOT / "functions").iterdir() if path.is_dir()]
    for folder in folders:
        if folder.name != "__pycache__":
            page = {"page"} if folder.name == "serve_page" else set()
            assert entries(folder) == {"__init__.py", "handler.py"} | page, folder.name


def test_every_module_is_short_enough_to_read():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in modules(*CHECKED)}
    long = {name: number for name, number in lines.items() if number > MOST_LINES}
    assert not long, "split it by decision"


# ---- inheritance ----

Bases = Iterator[tuple[ast.ClassDef, str]]


def shared_bases(tree: ast.Module) -> Bases:
    """Each class with each of its bases that was defined or imported from inside shared/."""
    ours = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").startswith("shared")
        ):
            ours |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            ours |= {
                alias.asname or "shared" for alias in node.names if alias.name.startswith("shared")
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                text = ast.unparse(base)
                if re.split(r"[.\[]", text)[0] in ours:
                    yield node, text


def may_inherit(path: Path, cls: ast.ClassDef, base: str) -> bool:
    name = name_of(path)
    is_error = base.endswith("Error") and cls.name.endswith("Error")
    # A port made of smaller ports is still only signatures.
    is_protocol = any(ast.unparse(other).startswith("Protocol") for other in cls.bases)
    is_contract = name.startswith("shared/api/schemas")
    is_table = name.startswith("shared/aws/tables")
    return is_error or is_protocol or is_contract or is_table


def test_no_class_inherits_from_one_of_ours():
    found = [
        f"{name_of(path)}:{cls.lineno}: {cls.name}({base})"
        for path in modules("shared")
        for cls, base in shared_bases(ast.parse(path.read_text()))
        if not may_inherit(path, cls, base)
    ]
    assert not found, "adapters satisfy a Protocol; what is common is a function in domain/"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class A: ...\nclass B(A): ...", ["A"]),
        ("from shared.ports.provider import P\nclass B(P): ...", ["P"]),
        ("from .mailbox import M as N\nclass B(N[int]): ...", ["N[int]"]),
        ("import shared.domain.x\nclass B(shared.domain.x.Y): ...", ["shared.domain.x.Y"]),
        ("from enum import StrEnum\nclass B(StrEnum): ...", []),
    ],
)
def test_inheritance_is_seen_however_it_is_imported(source, found):
    assert [base for _, base in shared_bases(ast.parse(source))] == found


# ---- lines ----

BARE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[)")
BARE_NOQA = re.compile(r"#\s*noqa(?!:)", re.IGNORECASE)
MARKED = re.compile(r"#\s*boundary:\s*\S")


def test_every_ignore_says_what_it_ignores():
    bare = [
        f"{name_of(path)}:{number}"
        for path in modules(*CHECKED, "tests")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (BARE_IGNORE.search(line) or BARE_NOQA.search(line)) and path != Path(__file__)
    ]
    assert not bare


def catches_everything(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return bool(caught & {"Exception", "BaseException"})


def unmarked_boundaries(text: str) -> Iterator[int]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ExceptHandler) or not catches_everything(node):
            continue
        if not MARKED.search(lines[node.lineno - 1]):
            yield node.lineno


def test_only_a_marked_boundary_catches_everything():
    unmarked = [
        f"{name_of(path)}:{line}"
        for path in modules(*CHECKED)
        for line in unmarked_boundaries(path.read_text())
    ]
    assert not unmarked, "write `# boundary: why everything must be caught here` on the line"


# ---- sockets ----

NETWORK = "shared/providers/network.py"
# import-linter sees packages, not these parts of them; each opens a connection by itself.
CONNECTS = {"http.client", "http.server", "urllib.request", "imaplib", "smtplib", "imapclient"}


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def connecting(path: Path) -> set[str]:
    names = imported(ast.parse(path.read_text()))
    found = {
        part for part in CONNECTS for name in names if name == part or name.startswith(f"{part}.")
    }
    if name_of(path).startswith("shared/providers/"):
        # The clients are theirs to use, on a socket that the guarded way opened.
        found -= {"imaplib", "smtplib", "imapclient"}
    return found


def test_only_a_provider_speaks_to_a_mail_server():
    found = {name_of(path): names for path in modules(*SHIPPED) if (names := connecting(path))}
    assert not found, f"sockets are opened in {NETWORK} alone"


def needed_at_runtime(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        pending += ast.iter_child_nodes(node)


def test_type_stubs_are_not_needed_at_runtime():
    # They are in the development lock only: the import would fail in a function.
    found = [
        f"{name_of(path)}: {text}"
        for path in modules(*SHIPPED)
        for text in map(ast.unparse, needed_at_runtime(ast.parse(path.read_text())))
        if "mypy_boto3" in text
    ]
    assert not found
