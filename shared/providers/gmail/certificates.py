"""Decides how long Google's signing keys are believed, and when they are asked for again.

They change about daily and are published well before they sign (accounts.google.com). A token of a
key that is not known may be signed by a new one, or by anybody: keys are asked for anew then, but
not more often than once a minute, whoever knocks.
"""

import threading
import time
from collections.abc import Callable, Mapping

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.gmail import errors
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.http import Http

KEPT_SECONDS = 3600.0
ASKED_AGAIN_SECONDS = 60.0
"""At the soonest, for the sake of a key that is not among them."""
_SECONDS = 5.0
"""Pub/Sub waits for ten, and then comes again."""
_LONGEST_ANSWER = 256 * 1024
_OK = 200


class Certificates:
    """Google's X.509 certificates by key id, of a process. Thread-safe."""

    def __init__(
        self,
        http: Http,
        endpoints: GoogleEndpoints,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._url = endpoints.certificates
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: Mapping[str, str] = {}
        self._asked_at = float("-inf")

    def holding(self, key_id: object) -> Mapping[str, str]:
        """Return what is held, with the key of that id where Google has it.

        Raises `RetryLaterError` where nothing is held and Google does not answer.
        """
        with self._lock:
            age = self._monotonic() - self._asked_at
            is_known = isinstance(key_id, str) and key_id in self._held
            if age >= (KEPT_SECONDS if is_known else ASKED_AGAIN_SECONDS):
                self._ask()
            return self._held

    def _ask(self) -> None:
        try:
            answer = self._http.until(_SECONDS).send("GET", self._url, limit=_LONGEST_ANSWER)
            found = errors.decoded_object(answer.body) if answer.status == _OK else None
            if not found:
                raise RetryLaterError(
                    ErrorCode.PROVIDER_UNAVAILABLE, cause=f"certificates: {answer.status}"
                )
        except RetryLaterError:
            # What they signed yesterday they still sign, as a rule.
            if not self._held:
                raise
        else:
            self._held = {name: text for name, text in found.items() if isinstance(text, str)}
        self._asked_at = self._monotonic()
