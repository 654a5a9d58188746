"""Decides what a person sees when they sign in: plain pages that work without JavaScript."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from infra.simulators.microsoft.accounts import Client, User

_WORDS = {
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    "offline_access": "Maintain access to data you have given it access to",
    "User.Read": "Sign you in and read your profile",
    "Mail.Read": "Read your mail",
    "Mail.ReadBasic": "Read basic information of your mail",
    "Mail.ReadWrite": "Read and write access to your mail",
    "Mail.Send": "Send mail as you",
    "Mail.Read.Shared": "Read mail you can access",
    "Mail.ReadWrite.Shared": "Read and write mail you can access",
    "Mail.Send.Shared": "Send mail on behalf of others",
}
_STYLE = """
:root { color-scheme: light }
body { margin: 0; background: #eef1f5; color: #1b1b1b }
body { font: 16px/1.5 "Segoe UI", system-ui, sans-serif }
main { max-width: 27rem; margin: 8vh auto; padding: 2.2rem 2.4rem }
main { background: #fff; box-shadow: 0 2px 8px #0003 }
h1 { font-size: 1.45rem; font-weight: 600; margin: .3rem 0 1rem }
fieldset { border: 0; padding: 0; margin: 0 0 1.2rem }
legend { font-weight: 600; padding: 0; margin-bottom: .4rem }
label { display: block; padding: .55rem .6rem; border: 1px solid #c9ced6; margin-bottom: .4rem }
label:hover { background: #f3f6fa }
small { color: #555 }
button { font: inherit; padding: .5rem 1.4rem; margin-right: .5rem }
button { border: 1px solid #8a8a8a; background: #e6e6e6 }
button.main { background: #0b5cad; border-color: #0b5cad; color: #fff }
button:focus-visible, input:focus-visible { outline: 3px solid #f2a33a; outline-offset: 2px }
.note { color: #555; font-size: .85rem; margin-top: 1.6rem }
"""


def page(title: str, body: str, status: int = 200) -> Response:
    """Return a whole page. The body is HTML."""
    text = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{body}"
        '<p class="note">Simulated sign-in. Nothing here is Microsoft, and no password is asked.'
        "</p></main></body></html>"
    )
    response = Response(text, status, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def consent_page(
    client: Client, users: Sequence[User], scopes: Iterable[str], *, chosen: str, sealed: str
) -> Response:
    """Return the page that asks who it is and whether they agree."""
    accounts = "".join(_account(user, is_chosen=user.address == chosen) for user in users)
    asked = "".join(f"<li>{escape(_WORDS.get(scope, scope))}</li>" for scope in scopes)
    return page(
        "Permissions requested",
        "<h1>Permissions requested</h1>"
        f"<p><strong>{escape(client.name)}</strong> would like to:</p>"
        f"<ul>{asked}</ul>"
        '<form method="post" action="consent">'
        f'<input type="hidden" name="request" value="{escape(sealed)}">'
        f"<fieldset><legend>Pick an account</legend>{accounts}</fieldset>"
        '<button class="main" name="decision" value="allow">Accept</button>'
        '<button name="decision" value="cancel" formnovalidate>Cancel</button></form>',
    )


def _account(user: User, *, is_chosen: bool) -> str:
    checked = " checked" if is_chosen else ""
    kind = "Personal account" if user.options.personal else "Work or school account"
    return (
        '<label><input type="radio" name="account" required'
        f' value="{escape(user.address)}"{checked}>'
        f" {escape(user.name)}<br><small>{escape(user.address)} · {kind}</small></label>"
    )


def approval_page(client: Client, sealed: str) -> Response:
    """Return the page of a tenant in which only administrators may consent."""
    return page(
        "Need admin approval",
        "<h1>Need admin approval</h1>"
        f"<p><strong>{escape(client.name)}</strong> needs permission to access resources in your"
        " organization that only an admin can grant. Please ask an admin to grant permission to"
        " this app before you can use it.</p>"
        '<form method="post" action="consent">'
        f'<input type="hidden" name="request" value="{escape(sealed)}">'
        '<button name="decision" value="return">Return to the application without granting'
        " consent</button></form>",
    )


def admin_page(client: Client, scopes: Iterable[str], sealed: str) -> Response:
    """Return the page that asks an administrator to consent for everybody."""
    asked = "".join(f"<li>{escape(_WORDS.get(scope, scope))}</li>" for scope in scopes)
    return page(
        "Permissions requested",
        "<h1>Permissions requested: review for your organization</h1>"
        f"<p><strong>{escape(client.name)}</strong> would like to:</p><ul>{asked}</ul>"
        '<form method="post" action="adminconsent">'
        f'<input type="hidden" name="request" value="{escape(sealed)}">'
        '<button class="main" name="decision" value="allow">Accept</button>'
        '<button name="decision" value="cancel" formnovalidate>Cancel</button></form>',
    )


def error_page(text: str, status: int = 400) -> Response:
    """Return the page of an error that the application is not told of."""
    return page(
        "Sign in to your account",
        f"<h1>Sorry, but we are having trouble signing you in.</h1><p>{escape(text)}</p>",
        status,
    )


def form_post_page(target: str, values: Mapping[str, str]) -> Response:
    """Return the page that carries an answer to the application in a form.

    The real one sends itself by JavaScript; here a person presses the button.
    """
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in values.items()
    )
    return page(
        "Working…",
        f'<h1>Return to the application</h1><form method="post" action="{escape(target)}">{fields}'
        '<button class="main">Continue</button></form>',
    )
