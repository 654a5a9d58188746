"""Takes pictures that tests kept over into the documentation, under the names they were kept by.

uv run poe test tests/e2e -k test_page
uv run python -m tests.browser.pictures mailboxes-light thread-phone
"""

import sys
from pathlib import Path

from tests.browser.page import SCREENSHOTS

IMAGES = Path(__file__).parents[2] / "infra" / "images"
MOST_BYTES = 150_000


def main(names: list[str]) -> None:
    """Take these over, and say what each weighs."""
    IMAGES.mkdir(exist_ok=True)
    for name in names:
        picture = (SCREENSHOTS / f"{name}.png").read_bytes()
        if len(picture) > MOST_BYTES:
            raise SystemExit(f"{name} weighs {len(picture):,} bytes: show less in it")
        (IMAGES / f"{name}.png").write_bytes(picture)
        print(f"{name}: {len(picture):,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
