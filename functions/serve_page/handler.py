"""HTTP: the page for people, its files and what it has to know.

May touch nothing: the page asks the API, with its user's token.
"""

import functools
from pathlib import Path
from typing import Any, Final

from shared.api.page_routes import Page, answer_page, page_of, read_files
from shared.config import settings

_FILES: Final = read_files(Path(__file__).with_name("page"))


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with one file, or that it is still the same."""
    return answer_page(event, _page())


@functools.cache
def _page() -> Page:
    return page_of(_FILES, settings())
