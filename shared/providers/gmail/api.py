"""Decides how a session asks the Gmail API: with which token, what is counted, what fails how."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.secret import Secret
from shared.ports.provider import AccessTokens
from shared.providers.gmail import batch, errors, units
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.header_fields import FIELDS
from shared.providers.http import ANSWER_LIMIT_BYTES, Answer, Requests, Streamed
from shared.providers.room import Room

LARGE_BYTES = 8 * 1024 * 1024
"""Of a message as Gmail writes it, a third more than it has: it waits for its turn (see `room`)."""
PART_LIMIT_BYTES = 128 * 1024 * 1024
"""One message as the API gives it: Gmail takes 50 MB, base64 makes a third more of it."""
_OK, _UNAUTHORIZED = 200, 401
Form = Mapping[str, str | Sequence[str]]
"""The parameters of `messages.get` that say what of a message comes."""
_BESIDE = "id,threadId,labelIds,historyId,internalDate"
RAW: Form = {"format": "raw", "fields": f"{_BESIDE},raw"}
HEADERS: Form = {
    "format": "metadata",
    "metadataHeaders": FIELDS,
    # Without the snippet, which is content.
    "fields": f"{_BESIDE},sizeEstimate,payload/headers",
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a request brings."""

    content_type: str
    data: bytes


def json_content(found: Mapping[str, Any]) -> Content:
    """Return a JSON object as a request brings it."""
    return Content("application/json", json.dumps(found).encode())


class GmailApi:
    """The calls of one session with one mailbox. Not thread-safe."""

    def __init__(
        self, requests: Requests, tokens: AccessTokens, endpoints: GoogleEndpoints
    ) -> None:
        self._requests = requests
        self._tokens = tokens
        self._base = endpoints.api
        self.room = Room(lambda: requests.seconds_left, large_bytes=LARGE_BYTES)
        self.units = 0
        """Units of quota, those of failed calls counted: Gmail does not say whether it does."""

    @property
    def requests(self) -> int:
        """HTTP requests, a batch counted once."""
        return self._requests.sent

    @property
    def bytes_received(self) -> int:
        """Bytes inside TLS, as compressed as they came."""
        return self._requests.bytes_in

    @property
    def seconds_left(self) -> float:
        """Seconds until the session's deadline."""
        return self._requests.seconds_left

    def wait(self, seconds: float) -> None:
        """Do nothing for a while; raises where the deadline comes before."""
        self._requests.wait(seconds)

    def get(
        self,
        path: str,
        parameters: Mapping[str, str | Sequence[str]],
        *,
        cost: int,
        unless: Mapping[int, MailroomError] | None = None,
    ) -> dict[str, Any]:
        """Return the JSON object below `/gmail/v1/users/me/`.

        `unless` says what a status means here; for others the table of `errors` does.
        """
        answer = self.ask("GET", path, parameters, cost=cost)
        if answer.status != _OK:
            raise (unless or {}).get(answer.status) or _meaning(answer)
        return object_of(answer)

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str | Sequence[str]] | None = None,
        *,
        cost: int,
        content: Content | None = None,
        to_upload: bool = False,
        once: bool = False,
        lost: Callable[[RetryLaterError], MailroomError] | None = None,
    ) -> Answer:
        """Return whatever is answered below `/gmail/v1/users/me/`, or to an upload there.

        `once`: a connection that breaks is no reason to ask again (see `Requests.stream`). `lost`
        makes what is raised where it may have gone out and no whole answer came back.
        """
        self.units += cost
        url = self._url(path, parameters or {}, "/upload" if to_upload else "")
        headers = {"content-type": content.content_type} if content else {}
        body = content.data if content else b""

        def answered(token: Secret) -> Answer:
            sent = self._requests.sent
            try:
                with self._requests.stream(
                    method,
                    url,
                    headers={**headers, **_authorised(token)},
                    body=body,
                    limit=ANSWER_LIMIT_BYTES,
                    once=once,
                ) as streamed:
                    whole = b"".join(streamed)
            except RetryLaterError as error:
                if lost is None or self._requests.sent == sent:
                    raise
                raise lost(error) from error
            return Answer(streamed.status, streamed.headers, whole)

        token = self._tokens.current()
        answer = answered(token)
        if answer.status == _UNAUTHORIZED:
            answer = answered(self._tokens.renewed(token))
        return answer

    def get_message(self, message_id: str, form: Form) -> batch.Part:
        """Ask for one message. A large one has a turn in `room`, which nobody ends."""
        self.units += units.MESSAGES_GET
        url = self._url(_message(message_id), form)
        with self._stream("GET", url, limit=PART_LIMIT_BYTES) as streamed:
            if streamed.status != _OK:
                return batch.Part(message_id, streamed.status, streamed.headers, _said(streamed))
            body = bytearray()
            for piece in streamed:
                body += piece
                self.room.grow(len(body))
            return batch.Part(message_id, streamed.status, streamed.headers, body)

    @contextmanager
    def get_together(
        self, message_ids: Sequence[str], form: Form
    ) -> Iterator[Iterator[batch.Part]]:
        """Ask for messages in one HTTP batch; parts come as they are received, some perhaps not."""
        calls = [batch.Call("GET", self._target(_message(one), form)) for one in message_ids]
        cost = units.MESSAGES_GET * len(calls)
        with self._together(calls, message_ids, cost) as parts:
            yield parts

    def modify(self, message_id: str, changes: Mapping[str, Any]) -> batch.Part:
        """Change the labels of one message; repeating it is harmless."""
        path, content = f"{_message(message_id)}/modify", json_content(changes)
        answer = self.ask("POST", path, cost=units.MESSAGES_MODIFY, content=content)
        return batch.Part(message_id, answer.status, answer.headers, answer.body)

    @contextmanager
    def modify_together(
        self, changes: Mapping[str, Mapping[str, Any]]
    ) -> Iterator[Iterator[batch.Part]]:
        """Change the labels of each message in one HTTP batch; see `get_together`."""
        calls = [
            batch.Call("POST", self._target(f"{_message(name)}/modify", {}), json.dumps(wanted))
            for name, wanted in changes.items()
        ]
        cost = units.MESSAGES_MODIFY * len(calls)
        with self._together(calls, list(changes), cost) as parts:
            yield parts

    @contextmanager
    def _together(
        self, calls: Sequence[batch.Call], asked: Sequence[str], cost: int
    ) -> Iterator[Iterator[batch.Part]]:
        """Make calls in one HTTP batch, each about what `asked` says at its place.

        Source: developers.google.com/workspace/gmail/api/guides/batch.
        """
        self.units += cost
        content_type, body = batch.request(calls)
        url, headers = f"{self._base}/batch/gmail/v1", {"content-type": content_type}
        limit = PART_LIMIT_BYTES * batch.MOST_PARTS
        with self._stream("POST", url, headers, body, limit=limit) as streamed, self.room:
            if streamed.status != _OK:
                raise _meaning(Answer(streamed.status, streamed.headers, _said(streamed)))
            yield batch.parts(streamed, asked, limit=PART_LIMIT_BYTES, room=self.room)

    def _target(self, path: str, parameters: Form) -> str:
        return self._url(path, parameters).removeprefix(self._base)

    def _url(
        self, path: str, parameters: Mapping[str, str | Sequence[str]], before: str = ""
    ) -> str:
        query = urlencode(parameters, doseq=True)
        return f"{self._base}{before}/gmail/v1/users/me/{path}" + (f"?{query}" if query else "")

    @contextmanager
    def _stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        limit: int,
    ) -> Iterator[Streamed]:
        token = self._tokens.current()
        named = headers or {}
        with self._requests.stream(
            method, url, headers={**named, **_authorised(token)}, body=body, limit=limit
        ) as streamed:
            refused = streamed.status == _UNAUTHORIZED
            if not refused:
                yield streamed
        if refused:
            token = self._tokens.renewed(token)
            with self._requests.stream(
                method, url, headers={**named, **_authorised(token)}, body=body, limit=limit
            ) as streamed:
                yield streamed


def object_of(answer: Answer) -> dict[str, Any]:
    """Return the JSON object that was answered; raises `RetryLaterError` for anything else."""
    found = errors.decoded_object(answer.body)
    if found is None:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="not a JSON object")
    return found


def whole_number(value: object) -> int:
    """Read a number that Google writes as a text; raises `RetryLaterError` for anything else."""
    text = value if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        return int(str(text), 10)
    except ValueError:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="not a number") from None


def objects(found: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list that is left out where it is empty."""
    several = found.get(name, [])
    if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
        raise RetryLaterError(
            ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=f"{name} is no list of objects"
        )
    return several


def texts(found: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of a list that is left out where it is empty."""
    several = found.get(name, [])
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=f"{name} is no list of texts")
    return several


def _said(streamed: Streamed) -> bytes:
    """Return the body of a refusal, which may be an answer as long as any: its beginning."""
    body = bytearray()
    for piece in streamed:
        body += piece
        if len(body) > ANSWER_LIMIT_BYTES:
            break
    return bytes(body[:ANSWER_LIMIT_BYTES])


def _meaning(answer: Answer) -> MailroomError:
    return errors.from_api(answer.status, answer.headers, answer.body)


def _message(message_id: str) -> str:
    return f"messages/{quote(message_id, safe='')}"


def _authorised(token: Secret) -> dict[str, str]:
    return {"authorization": f"Bearer {token.reveal()}"}
