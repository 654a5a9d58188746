"""Which routes say how much others see of a thread.

The function that writes settings adds the ones, the function that reads adds the other.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from shared.api.app import viewer
from shared.api.schemas.fields import MailboxIdText, ThreadIdText
from shared.api.schemas.thread_levels import SetThreadLevel, ThreadLevelList, ThreadLevelShown
from shared.domain.ids import MailboxId, ThreadId
from shared.operations.thread_levels import list_thread_levels, set_thread_level
from shared.ports.reading import MailReader
from shared.ports.stores import MessageStore
from shared.ports.threads import ThreadStore

_LEVEL = "/v1/threads/<thread_id>/visibility"
_TAGS = ["Mail"]
ThreadPath = Annotated[ThreadIdText, Path()]


def add_thread_level_routes(
    app: APIGatewayHttpResolver,
    *,
    messages: Callable[[], MessageStore],
    reader: Callable[[], MailReader],
    threads: Callable[[], ThreadStore],
) -> None:
    """Add those that change it; the stores are asked for with the first request."""

    @app.put(_LEVEL, summary="Say how much others see of it", tags=_TAGS)
    def say_thread_level(thread_id: ThreadPath, body: SetThreadLevel) -> ThreadLevelShown:
        """Say how much of a thread's mail in a mailbox others see, whatever the mailbox says.

        As the owner of the mailbox; of a shared one also as an administrator who reads it in full.
        It holds at once, for all places; it shows a shared mailbox's mail to nobody it is not
        granted to. A level that shows more than the mailbox does opens the mail under this id
        alone; `others` names what was joined to it, each to be opened by its own id. One that shows
        less closes all of it, also what is joined later.
        """
        set_to = set_thread_level(
            viewer(app),
            ThreadId(thread_id),
            body.level,
            mailbox_id=MailboxId(body.mailbox_id) if body.mailbox_id else None,
            messages=messages(),
            reader=reader(),
            threads=threads(),
        )
        return ThreadLevelShown.of(set_to)

    @app.delete(
        _LEVEL,
        summary="Leave that to the mailbox again",
        tags=_TAGS,
        status_code=HTTPStatus.NO_CONTENT,
    )
    def leave_thread_level(
        thread_id: ThreadPath, mailbox_id: Annotated[MailboxIdText | None, Query()] = None
    ) -> Response[None]:
        """Have others see as much of it as the mailbox's `visibility` says.

        What is said of mail that was joined to it stays, and is taken back by its own id.
        """
        set_thread_level(
            viewer(app),
            ThreadId(thread_id),
            None,
            mailbox_id=MailboxId(mailbox_id) if mailbox_id else None,
            messages=messages(),
            reader=reader(),
            threads=threads(),
        )
        return Response(status_code=HTTPStatus.NO_CONTENT)


def add_thread_level_list(
    app: APIGatewayHttpResolver,
    *,
    messages: Callable[[], MessageStore],
    reader: Callable[[], MailReader],
) -> None:
    """Add the one that tells; the stores are asked for with the first request."""

    @app.get(_LEVEL, summary="How much others see of it", tags=_TAGS)
    def list_levels(thread_id: ThreadPath) -> ThreadLevelList:
        """List the levels of a thread that are the caller's to set, by mailbox."""
        views = list_thread_levels(
            viewer(app), ThreadId(thread_id), messages=messages(), reader=reader()
        )
        return ThreadLevelList(items=[ThreadLevelShown.of(view) for view in views])
