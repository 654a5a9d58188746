"""The contract file is what the functions say, and API Gateway has the same routes."""

import re
from pathlib import Path

import pytest

from functions.read_mail.handler import lambda_handler
from infra.tasks.openapi import PUBLIC, TARGET, contract, text_of
from shared.api.push_routes import PROVIDERS
from tests.fakes.deployment import context, http_event

ROOT = Path(__file__).resolve().parents[3]
PAGE = {("GET", "/app"), ("GET", "/app/{file}")}


@pytest.fixture(scope="module")
def document():
    return contract()


def routes_of(document):
    return {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }


def test_the_file_is_what_the_functions_say(document):
    assert TARGET.read_text("utf-8") == text_of(document), "run `uv run poe openapi`"


def test_api_gateway_has_the_same_routes(document):
    text = (ROOT / "template.yaml").read_text()
    event = r"Type: HttpApi, Properties: \{ApiId: !Ref Api, Method: (\w+), Path: (?:\"([^\"]+)\"|([^,}]+))"
    found = [(method, quoted or bare) for method, quoted, bare in re.findall(event, text)]
    # Providers ask these, and nobody who reads a contract.
    found = [route for route in found if " ".join(route) not in PROVIDERS]
    # A browser asks these, for files.
    found = [route for route in found if route not in PAGE]
    assert sorted(found) == sorted(routes_of(document))


def test_every_route_but_the_public_ones_needs_a_token(document):
    assert document["security"] == [{"bearer": []}]
    open_routes = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("security") == []
    }
    assert open_routes == PUBLIC


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/v1/health", "200 400 429 500 503"),
        ("get", "/v1/messages", "200 400 401 429 500 503"),
        ("get", "/v1/mailboxes/{mailbox_id}", "200 400 401 404 429 500 503"),
        ("get", "/v1/mailboxes/{mailbox_id}/disconnection", "200 400 401 403 404 429 500 503"),
        (
            "get",
            "/v1/mailboxes/{mailbox_id}/backfill-preview",
            "200 400 401 403 404 409 429 500 502 503",
        ),
        ("delete", "/v1/mailboxes/{mailbox_id}", "204 400 401 403 404 429 500 503"),
        ("post", "/v1/mailboxes/test", "200 400 401 415 429 500 503"),
        ("post", "/v1/mailboxes/authorize", "200 400 401 403 404 409 415 429 500 502 503"),
        (
            "post",
            "/v1/mailboxes/authorize/complete",
            "200 201 400 401 403 404 409 410 415 422 429 500 502 503",
        ),
        ("get", "/v1/oauth/{provider}/callback", "302 400 429 500 503"),
        ("post", "/v1/mailboxes", "201 400 401 403 409 415 422 429 500 503"),
        (
            "post",
            "/v1/mailboxes/{mailbox_id}/reconnect",
            "200 400 401 403 404 409 415 422 429 500 503",
        ),
        ("post", "/v1/mailboxes/{mailbox_id}/sync", "202 400 401 404 409 429 500 503"),
        (
            "post",
            "/v1/mailboxes/{mailbox_id}/backfills/{backfill_id}/pause",
            "200 400 401 403 404 409 429 500 503",
        ),
        ("put", "/v1/contacts/{contact_id}", "200 400 401 409 410 415 429 500 503"),
        (
            "post",
            "/v1/contacts/{contact_id}/merge",
            "200 400 401 404 409 410 415 429 500 503",
        ),
        ("delete", "/v1/contacts/{contact_id}", "204 400 401 404 410 429 500 503"),
        ("post", "/v1/contacts/batch", "200 400 401 415 429 500 503"),
    ],
)
def test_an_operation_names_the_answers_it_gives(document, method, path, statuses):
    assert " ".join(sorted(document["paths"][path][method]["responses"])) == statuses


def test_what_api_gateway_says_by_itself_is_told_apart(document):
    kinds = {
        status: set(answer["content"])
        for status, answer in document["components"]["responses"].items()
    }
    both = {"application/problem+json", "application/json"}
    assert all(kinds[status] == both for status in ("401", "429", "500", "503"))
    assert kinds["404"] == {"application/problem+json"}


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(document):
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert all(one["summary"] and one["description"] and one["tags"] for one in operations)


def test_every_reference_leads_somewhere(document):
    text = text_of(document)
    for kind, name in re.findall(r'"#/components/(\w+)/([\w-]+)"', text):
        assert name in document["components"][kind], name


def test_a_password_is_never_in_an_answer(document):
    schemas = document["components"]["schemas"]
    assert all(
        "password" not in schema.get("properties", {})
        for name, schema in schemas.items()
        if name not in {"ImapServer", "SmtpServer"}
    )
    assert schemas["ImapServer"]["properties"]["password"]["writeOnly"] is True


def test_the_contract_and_the_page_are_served(app):
    served = app.handle(http_event("GET", "/openapi.json"))
    assert (served.status, served.text) == (200, TARGET.read_text("utf-8"))
    page = app.handle(http_event("GET", "/docs"))
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["Content-Security-Policy"]
    (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
    assert policy.startswith("default-src 'none'")
    scripts = re.findall(r"(?m)^<script([^>]*)>", page.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert not re.search(r"(?m)^<(?:script|link|img)[^>]+(?:src|href)=", page.text)
    assert page.text.count("</script>") == len(scripts)
    again = app.handle(http_event("GET", "/docs"))
    assert nonce not in again.headers["Content-Security-Policy"]


def test_the_page_travels_compressed_where_the_browser_can(app):
    event = http_event("GET", "/docs", headers={"accept-encoding": "gzip"})
    answer = lambda_handler(event, context())
    assert answer["isBase64Encoded"] is True
    assert len(answer["body"]) < 1_000_000
