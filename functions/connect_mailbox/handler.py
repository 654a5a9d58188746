"""HTTP: test an IMAP/SMTP login, connect a mailbox, reconnect it; send people to a sign-in.

May write secrets and read this product's own; never reads a mailbox's.
"""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.shared.cookies import Cookie, SameSite
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_limits, wiring_of_sign_ins
from shared.api.app import make_app, respond, viewer
from shared.api.schemas.connecting import (
    ConnectMailbox,
    ReconnectMailbox,
    ServerTestShown,
    TestServers,
)
from shared.api.schemas.fields import MailboxIdText
from shared.api.schemas.mailboxes import MailboxShown
from shared.api.schemas.sign_ins import ATTEMPT_COOKIE, Authorization, AuthorizeConnection
from shared.domain.connecting import ATTEMPT_LASTS
from shared.domain.ids import MailboxId
from shared.domain.mailbox import Mailbox
from shared.domain.visibility import Viewer
from shared.observability import Metric, count
from shared.operations.authorize_connection import authorize_connection
from shared.operations.connect_mailbox import check_logins, connect_mailbox, test_servers
from shared.operations.read_mailboxes import get_mailbox
from shared.operations.reconnect_mailbox import reconnect_mailbox

app = make_app(limit=wiring_of_limits.require_room)


@app.post("/v1/mailboxes/test", summary="Test a login, storing nothing", tags=["Connect"])
def try_servers(body: TestServers) -> ServerTestShown:
    """Try both sides and say how each fared, and which folders were found."""
    viewer(app)
    imap, smtp = body.imap_login(), body.smtp_login()
    check_logins(imap, smtp, wiring.connect_policy())
    return ServerTestShown.of(test_servers(imap, smtp, tester=wiring.server_tester()))


@app.post(
    "/v1/mailboxes",
    summary="Connect an IMAP/SMTP mailbox",
    tags=["Connect"],
    status_code=HTTPStatus.CREATED,
)
def connect_new_mailbox(body: ConnectMailbox) -> Response[MailboxShown]:
    """Test both sides, store the login, start to sync and to import."""
    who = viewer(app)
    mailbox = connect_mailbox(
        who,
        body.to_request(),
        tester=wiring.server_tester(),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        secrets=wiring.secrets(),
        queues=wiring.queues(),
        clock=wiring.clock(),
        policy=wiring.connect_policy(),
    )
    count({Metric.MAILBOX_CONNECTED: 1}, provider=mailbox.provider)
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type="application/json",
        headers={"Location": f"/v1/mailboxes/{mailbox.id}"},
        body=_shown(who, mailbox),
    )


@app.post("/v1/mailboxes/<mailbox_id>/reconnect", summary="Log in to it again", tags=["Connect"])
def reconnect_known_mailbox(
    mailbox_id: Annotated[MailboxIdText, Path()], body: ReconnectMailbox
) -> MailboxShown:
    """Test new logins for the same account, keep them, and go on from where sync stopped."""
    who = viewer(app)
    mailbox = reconnect_mailbox(
        who,
        MailboxId(mailbox_id),
        body.to_request(),
        tester=wiring.server_tester(),
        mailboxes=wiring.mailboxes(),
        secrets=wiring.secrets(),
        queues=wiring.queues(),
        policy=wiring.connect_policy(),
    )
    return _shown(who, mailbox)


@app.post("/v1/mailboxes/authorize", summary="Begin a provider's sign-in", tags=["Connect"])
def begin_sign_in(body: AuthorizeConnection) -> Response[Authorization]:
    """Say where the person signs in to connect a Gmail or Outlook mailbox, or to reconnect one.

    The cookie lets the browser that asked finish by itself, where this API is of the page's own
    origin; any other front end confirms with its user's token.
    """
    begun = authorize_connection(
        viewer(app),
        body.to_request(),
        ports=wiring_of_sign_ins.authorize_ports(),
        policy=wiring_of_sign_ins.sign_in_policy(str(app.current_event.request_context.api_id)),
    )
    return Response(
        status_code=HTTPStatus.OK,
        content_type="application/json",
        cookies=[
            Cookie(
                ATTEMPT_COOKIE,
                begun.cookie.reveal(),
                path="/",
                secure=True,
                http_only=True,
                max_age=int(ATTEMPT_LASTS.total_seconds()),
                same_site=SameSite.LAX_MODE,
            )
        ],
        body=Authorization.of(begun),
    )


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)


def _shown(who: Viewer, mailbox: Mailbox) -> MailboxShown:
    view = get_mailbox(
        who,
        mailbox.id,
        mailboxes=wiring.mailboxes(),
        audits=wiring.audits(),
        clock=wiring.clock(),
    )
    return MailboxShown.of(view)
