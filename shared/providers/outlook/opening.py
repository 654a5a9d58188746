"""Decides how long a session with Graph may last, and lets go of what it held."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.ports.provider import Grant, OAuthGrant
from shared.providers.http import Http, Requests
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.graph import Graph

LONGEST_SESSION_SECONDS = 870.0
"""Just under the longest life of a function."""


@contextmanager
def opened(
    http: Http, endpoints: MicrosoftEndpoints, grant: Grant, seconds: float | None
) -> Iterator[tuple[Graph, Requests]]:
    """Begin a session of `seconds` at most; raises TypeError for a grant that is not OAuth's."""
    if not isinstance(grant, OAuthGrant):
        raise TypeError("not a grant of OAuth")
    longest = LONGEST_SESSION_SECONDS
    requests = http.until(longest if seconds is None else min(longest, seconds))
    graph = Graph(requests, grant.tokens, endpoints)
    try:
        yield graph, requests
    finally:
        graph.close()
