"""How the local issuer's pages look: plain HTML, no script, everything escaped."""

from html import escape
from typing import Final

from infra.local.issuer_requests import Fields
from infra.local.issuer_sign_ins import ADA, BEN, Person

CHOICES: Final = {"ada": ADA, "ben": BEN}
"""Whom a button signs in."""

CANCEL: Final = "cancel"
_TYPED: Final = frozenset({"choice", "tenant", "user", "role"})

_STYLE: Final = """
:root{color-scheme:light dark;--back:#f3f4f6;--card:#fff;--text:#1b1f24;--quiet:#57606a;
--line:#8c959f;--act:#0a58ca;--on-act:#fff}
@media (prefers-color-scheme:dark){:root{--back:#0f1216;--card:#1a1f26;--text:#e8eaed;
--quiet:#a8b1bb;--line:#6b7580;--act:#8ab4f8;--on-act:#10151b}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1rem;background:var(--back);
color:var(--text)}
main{max-width:28rem;margin:6vh auto;background:var(--card);border-radius:.75rem;padding:1.5rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1rem;margin:1.5rem 0 .5rem}
p{margin:0 0 1rem;color:var(--quiet)}
a{color:var(--act)}
label{display:block;margin:0 0 .75rem}
input:not([type=checkbox]){display:block;width:100%}
input,button{font:inherit;color:inherit}
input:not([type=checkbox]),button{min-height:2.75rem;padding:.5rem .75rem;border-radius:.5rem;
border:1px solid var(--line);background:none}
button{display:block;width:100%;margin:0 0 .75rem;cursor:pointer;text-align:left}
button.main{background:var(--act);border-color:var(--act);color:var(--on-act);font-weight:600}
input[type=checkbox]{width:1.25rem;height:1.25rem;vertical-align:-.25rem;margin:0 .5rem 0 0}
:focus-visible{outline:3px solid var(--act);outline-offset:2px}
"""


def without_choice(fields: Fields) -> Fields:
    """The request alone, of what the sign-in page's form sent."""
    return {name: values for name, values in fields.items() if name not in _TYPED}


def sign_in_page(fields: Fields, wrong: str = "") -> str:
    """Return the page to choose on whom to be; its forms send the request `fields` along.

    `wrong` says what was wrong with what was typed.
    """
    said = f'<p role="alert"><strong>{escape(wrong)}</strong></p>' if wrong else ""
    asked = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, values in without_choice(fields).items()
        for value in values
    )
    form = f'<form method="post" action="/authorize">{asked}'
    return _page(
        "Sign in",
        "<h1>Sign in to Mailroom</h1>"
        "<p>The stack on this machine asks for no password: choose whom to be. Deployed, your own "
        "sign-in stands here.</p>"
        f"{said}{form}"
        '<button class="main" name="choice" value="ada">Ada, administrator</button>'
        '<button class="main" name="choice" value="ben">Ben, member</button></form>'
        f"{form}"
        "<h2>Somebody else</h2>"
        '<label>Tenant<input name="tenant" value="demo" required maxlength="100" '
        'autocapitalize="none" spellcheck="false"></label>'
        '<label>User<input name="user" required maxlength="100" '
        'autocapitalize="none" autocomplete="username" spellcheck="false"></label>'
        '<label><input type="checkbox" name="role" value="admin">Administrator</label>'
        '<button name="choice" value="other">Sign in</button></form>'
        f'{form}<button name="choice" value="{CANCEL}">Cancel</button></form>',
    )


def chosen(fields: Fields) -> Person | None:
    """Whom the sent form names; None when it names nobody."""
    given = {name: values[0].strip() for name, values in fields.items()}
    if given.get("choice") in CHOICES:
        return CHOICES[given["choice"]]
    tenant, user = given.get("tenant"), given.get("user")
    return Person(tenant, user, tuple(fields.get("role", ()))) if tenant and user else None


def refusal_page(words: str, page_url: str | None) -> str:
    """Return the page for a person whom a wrong link brought here."""
    return _page("Not signed in", f"<h1>Nobody can sign in so</h1><p>{escape(words)}</p>", page_url)


def signed_out_page(page_url: str | None) -> str:
    """Return the page that says that nobody is signed in any more."""
    return _page("Signed out", "<h1>You are signed out</h1>", page_url)


def _page(title: str, body: str, page_url: str | None = None) -> str:
    link = f'<p><a href="{escape(page_url)}">Open Mailroom</a></p>' if page_url else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Or a browser asks for /favicon.ico.
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)} · Mailroom on this machine</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}{link}</main></body></html>"
    )
