"""The functions' archive: equal code makes an equal one, and all it imports is locked."""

import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from infra.local import bundle, venvs
from infra.local.paths import REPOSITORY, Paths

HANDLERS = sorted(path.parent.name for path in (REPOSITORY / "functions").glob("*/handler.py"))


def tree(folder, text):
    (folder / "functions" / "one").mkdir(parents=True, exist_ok=True)
    (folder / "shared").mkdir(exist_ok=True)
    (folder / "functions" / "one" / "handler.py").write_text(text)
    return folder


def test_equal_code_makes_an_equal_archive_wherever_it_lies(tmp_path):
    one = bundle.build(tree(tmp_path / "a", "x = 1\n"))
    other = bundle.build(tree(tmp_path / "b", "x = 1\n"))
    assert one == other


def test_changed_code_has_another_digest(tmp_path):
    before = bundle.build(tree(tmp_path, "x = 1\n"))
    after = bundle.build(tree(tmp_path, "x = 2\n"))
    assert before.digest != after.digest


def test_bytecode_goes_along_and_caches_of_the_checkout_do_not(tmp_path):
    tree(tmp_path, "x = 1\n")
    (tmp_path / "shared" / "__pycache__").mkdir()
    (tmp_path / "shared" / "__pycache__" / "old.pyc").write_bytes(b"old")
    names = zipfile.ZipFile(BytesIO(bundle.build(tmp_path).archive)).namelist()
    assert "functions/one/handler.py" in names
    assert any(name.startswith("functions/one/__pycache__/handler.") for name in names)
    assert not any(name.startswith("shared/") for name in names)


@pytest.mark.stack
@pytest.mark.parametrize("function", HANDLERS)
def test_a_function_imports_nothing_that_is_not_locked(function, tmp_path):
    with zipfile.ZipFile(BytesIO(bundle.build().archive)) as archive:
        archive.extractall(tmp_path)
    python = venvs.functions_python(Paths.of())
    command = [str(python), "-c", f"import functions.{function}.handler"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "AWS_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "mailroom",
        "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
        "HOME": str(Path(tmp_path)),
    }
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
