"""`poe token` where there is no stack that would accept one."""

import sys

from infra.local import token
from infra.local.paths import Paths


def test_a_token_before_the_first_start_is_refused_in_words_and_leaves_no_key(
    tmp_path, monkeypatch, capsys
):
    root = tmp_path / "stack"
    given = ["token", "--tenant", "t1", "--user", "u1", "--root", str(root)]
    monkeypatch.setattr(sys, "argv", given)
    assert token.main() == 1
    assert "poe up" in capsys.readouterr().err
    assert not Paths.of(root).keys.exists()
