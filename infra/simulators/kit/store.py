"""Decides how a simulator keeps its state: one SQLite database behind one lock.

With a file, what was answered survives `kill -9` of the process: the write-ahead log is written
before a transaction ends. It is not synced to the disk each time, because a power cut loses no
more than a simulator's state.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_META = "CREATE TABLE IF NOT EXISTS kit_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)"


class Store:
    """Rows of one simulator.

    Args:
        schema: `CREATE … IF NOT EXISTS` statements.
        path: the database; in memory when None.
    """

    def __init__(self, schema: str, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._news: list[Any] = []
        self.on_news: Callable[[Any], None] = lambda _news: None
        """Called with each piece of news, once what it tells of is written."""
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.execute(_META)
        self._connection.executescript(schema)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock; all or nothing of what is written inside. May be nested: the outer counts.

        An exception that leaves the outermost block undoes everything.
        """
        with self._lock:
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            except BaseException:  # boundary: undone whatever it was, and raised again
                self._connection.execute("ROLLBACK")
                self._news.clear()
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0
            news, self._news = self._news, []
        for one in news:
            self.on_news(one)

    def tell(self, news: Any) -> None:
        """Have `on_news` called at the end of the outer transaction, if it is not undone."""
        with self.transaction():
            self._news.append(news)

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
            return found

    def value(self, sql: str, *parameters: Any) -> Any:
        """Return the first column of the first row, or None."""
        found = self.row(sql, *parameters)
        return None if found is None else found[0]

    def execute(self, sql: str, *parameters: Any) -> int:
        """Run one statement. Returns how many rows it changed."""
        with self.transaction():
            return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each tuple of parameters, in one transaction."""
        with self.transaction():
            self._connection.executemany(sql, parameters)

    def insert(self, sql: str, *parameters: Any) -> int:
        """Run an INSERT. Returns the new row's number."""
        with self.transaction():
            return self._connection.execute(sql, parameters).lastrowid or 0

    def meta(self, name: str) -> str | None:
        """Return a single kept value, or None."""
        found: str | None = self.value("SELECT value FROM kit_meta WHERE name = ?", name)
        return found

    def set_meta(self, name: str, value: str) -> None:
        """Keep a single value."""
        self.execute("INSERT OR REPLACE INTO kit_meta VALUES (?, ?)", name, value)

    def close(self) -> None:
        """Close the database. A file can be opened again."""
        with self._lock:
            self._connection.close()
