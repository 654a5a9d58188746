"""Decides how the consent pages look: plain HTML, no script, everything escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from infra.simulators.google.scopes import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.simulators.google.accounts import Client, User

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f0f4f9;color:#1f1f1f}
main{max-width:32rem;margin:6vh auto;background:#fff;border-radius:1.5rem;padding:2rem 2.5rem}
h1{font-weight:400;font-size:1.6rem;margin:.2rem 0 1rem}
fieldset{border:1px solid #c4c7c5;border-radius:.8rem;margin:0 0 1rem;padding:.6rem 1rem}
legend{padding:0 .4rem;font-weight:600}
label{display:flex;gap:.7rem;align-items:flex-start;padding:.35rem 0}
ul{padding-left:1.2rem}
small{color:#5f6368}
.buttons{display:flex;justify-content:flex-end;gap:.8rem}
button{font:inherit;padding:.55rem 1.4rem;border-radius:2rem;border:1px solid #747775;
background:none;color:inherit;cursor:pointer}
button.allow{background:#0b57d0;border-color:#0b57d0;color:#fff}
button:focus-visible,input:focus-visible{outline:3px solid #a8c7fa;outline-offset:2px}
@media (prefers-color-scheme:dark){body{background:#131314;color:#e3e3e3}main{background:#1e1f20}
small{color:#c4c7c5}}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def consent_page(
    request_id: str,
    client: Client,
    *,
    users: Sequence[User],
    chosen: str,
    asked: Sequence[str],
    separate: Sequence[str],
) -> Response:
    """Return the page where the account is chosen and the scopes are allowed.

    Args:
        request_id: names the request in the form.
        client: who asks.
        users: the accounts to choose from.
        chosen: address of the account that is marked already, or "".
        asked: all scopes.
        separate: those with a checkbox of their own.
    """
    accounts = "".join(
        f'<label><input type="radio" name="account" value="{escape(user.address)}" required'
        f"{' checked' if user.address == chosen else ''}>"
        f"<span>{escape(user.options.name)}<br><small>{escape(user.address)}</small></span></label>"
        for user in users
    )
    fixed = "".join(f"<li>{escape(_words(scope))}</li>" for scope in asked if scope not in separate)
    boxes = "".join(
        f'<label><input type="checkbox" name="scope" value="{escape(scope)}">'
        f"<span>{escape(_words(scope))}<br><small>{escape(scope)}</small></span></label>"
        for scope in separate
    )
    select = (
        f"<fieldset><legend>Select what {escape(client.options.name)} can access</legend>"
        f"{boxes}</fieldset>"
        if boxes
        else ""
    )
    body = (
        f"<h1>{escape(client.options.name)} wants access to your Google Account</h1>"
        f'<form method="post" action="/o/oauth2/v2/auth/consent">'
        f'<input type="hidden" name="request" value="{escape(request_id)}">'
        f"<fieldset><legend>Choose an account</legend>{accounts}</fieldset>"
        f"<p>This will allow {escape(client.options.name)} to:</p><ul>{fixed}</ul>{select}"
        f'<p class="buttons"><button name="action" value="deny" formnovalidate>Cancel</button>'
        f'<button class="allow" name="action" value="allow">Continue</button></p></form>'
    )
    return _page("Sign in - Google simulator", body)


def error_page(code: str, text: str, status: int = 400) -> Response:
    """Return the page that ends an authorization without going back to the client."""
    body = (
        f"<h1>Access blocked: Authorization Error</h1><p>{escape(text)}</p>"
        f"<p>Error {status}: <strong>{escape(code)}</strong></p>"
    )
    return _page("Error - Google simulator", body, status)


def _words(scope: str) -> str:
    return WORDS.get(scope, scope)


def _page(title: str, body: str, status: int = 200) -> Response:
    parts: Iterable[str] = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>",
        f"<body><main>{body}</main></body></html>",
    )
    return Response(
        "".join(parts),
        status,
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"},
    )
