"""The functions' archive on the local stack: equal code makes an equal one."""

import zipfile
from io import BytesIO

from infra.local import bundle


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
