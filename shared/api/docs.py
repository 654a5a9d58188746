"""What `/openapi.json` and `/docs` serve.

The contract as generated, and one page that loads nothing from elsewhere.

The page carries Swagger UI's own script and style inside it (Powertools ships them). A nonce, new
for each answer, lets just these run; the page may speak to this API and to nothing else.
"""

import functools
import secrets
from importlib import resources

CONTRACT = "openapi.json"
_UI = "aws_lambda_powertools.event_handler.openapi.swagger_ui"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mailroom API</title>
<style nonce="{nonce}">{style}</style>
</head>
<body>
<div id="ui">Loading…</div>
<script nonce="{nonce}">{script}</script>
<script nonce="{nonce}">
SwaggerUIBundle({{
  url: "openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  docExpansion: "list",
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout"
}});
</script>
</body>
</html>
"""


@functools.cache
def openapi_json() -> str:
    """Return the contract, as `poe openapi` wrote it."""
    return resources.files("shared.api").joinpath(CONTRACT).read_text("utf-8")


def page() -> tuple[str, dict[str, str | list[str]]]:
    """Return the page and the headers that go with it."""
    nonce = secrets.token_urlsafe(16)
    html = _PAGE.format(nonce=nonce, style=_asset("swagger-ui.min.css"), script=_script())
    return html, {"Content-Security-Policy": _policy(nonce), "X-Frame-Options": "DENY"}


def _policy(nonce: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "base-uri 'none'",
            "connect-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "img-src 'self' data:",
            f"script-src 'nonce-{nonce}'",
            # The interface sets style attributes; those take no nonce.
            "style-src 'unsafe-inline'",
        )
    )


@functools.cache
def _script() -> str:
    # Inside a page only this would end the script early.
    return _asset("swagger-ui-bundle.min.js").replace("</script", r"<\/script")


def _asset(name: str) -> str:
    return resources.files(_UI).joinpath(name).read_text("utf-8")
