"""Which kinds of item there are, by the tables in the first words of the modules that spell keys."""

import re

from infra.local.paths import REPOSITORY

CODE = re.compile(r"`([^`]+)`")
TABLES = sorted((REPOSITORY / "shared" / "aws").glob("tables*.py"))


def rows(text):
    """The cells of each row of a table in a text, but for head and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not set(row[0]) <= set("- ") or row[0] == ""]


def keys_of(module):
    """The kinds of item that a module's first words list: partition key and sort keys."""
    head = module.read_text(encoding="utf-8").split('"""')[1].partition("\n\n`due` is sparse")[0]
    for row in rows(head):
        if len(row) == 3 and not row[0].startswith("`") and (pk := CODE.findall(row[1])):
            yield from ((pk[0], sk) for sk in CODE.findall(row[2]))
