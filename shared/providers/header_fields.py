"""Decides which fields of a header are fetched where a message is judged before its content.

Who takes part, what it is called, where it belongs, and what tells that a program wrote it (RFC
3834; RFC 2369, 2919 and 8058 for List-*). Received, DKIM and the like are most of a header's bytes
and judge nothing.
"""

ADDRESS_FIELDS = ("From", "To", "Cc", "Bcc", "Reply-To", "Sender")
"""Those that hold addresses."""
SEARCHED_FIELDS = ADDRESS_FIELDS[:4]
"""Those by which a message is searched for."""
FIELDS = (
    *ADDRESS_FIELDS,
    "Date",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Return-Path",
    "Auto-Submitted",
    "Precedence",
    "X-Auto-Response-Suppress",
    "X-Autoreply",
    "X-Autorespond",
    "X-Failed-Recipients",
    "Feedback-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Importance",
    # Of mail that was sent from here to see it come back (domain/round_trip).
    "X-Mailroom-Test",
    "Content-Type",
)
