"""What the API promises: one OpenAPI file, made from the resolvers of all functions with routes.

`python -m infra.tasks.openapi` writes shared/api/openapi.json; with `--check` it only says whether
the file is true. The functions serve that file: making it anew would import every function.
"""

import argparse
import ast
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "shared" / "api" / "openapi.json"
HTTP_FUNCTIONS = (
    "complete_connection",
    "connect_mailbox",
    "disconnect_mailbox",
    "manage_mailboxes",
    "preview_backfill",
    "read_mail",
    "send_message",
)
SCHEMAS = ROOT / "shared" / "api" / "schemas"
CALLBACK = ("GET", "/v1/oauth/{provider}/callback")
CONFIRM = ("POST", "/v1/mailboxes/authorize/complete")
SEND = ("POST", "/v1/sends")
CANCEL = ("POST", "/v1/mailboxes/{mailbox_id}/sends/{send_id}/cancel")
TEST_MESSAGE = ("POST", "/v1/mailboxes/{mailbox_id}/test-messages")
SIGN_INS = frozenset({("POST", "/v1/mailboxes/authorize"), CONFIRM})
PUBLIC = frozenset({("GET", "/v1/health"), ("GET", "/openapi.json"), ("GET", "/docs"), CALLBACK})

VERSION = "1.0.0"
DESCRIPTION = """\
Connect, sync, import and read customers' mailboxes.

Every error is `application/problem+json` with a `code` from a closed set. Lists answer `items` and
`next`; send `next` back to go on. An id that is unknown and one of another tenant are the same 404.
Texts from mail (names, subjects, file names) are as their senders wrote them: escape them.

API Gateway itself refuses what never reaches a function: no valid token (401), an unknown path or
method (404), too many requests (429), a function that fails or is busy (500, 503). That is
`application/json` with a `message`, and has no `code`.
"""
PROBLEMS = {
    "400": "The request is not valid; `errors` names the fields.",
    "401": "There is no valid token, or it lacks a claim.",
    "403": "Only an administrator, or the owner of a personal mailbox, may do this.",
    "404": "There is no such thing, or none the caller may know of.",
    "409": "Something stands against it: another change, a state, a login that has to be renewed.",
    "410": "The attempt to sign in is over, or the contact is a part of another: `merged_into`.",
    "415": "The body is not `application/json`.",
    "422": "Mail servers or provider refused it, or may not be asked.",
    "429": "Too many requests, or mails, in a while: try again after `Retry-After` seconds.",
    "500": "Something went wrong on our side; quote `request_id` to support.",
    "502": "This product's registration at the provider is missing or refused: an operator acts.",
    "503": "Try again after `Retry-After` seconds.",
}
OF_THE_GATEWAY_TOO = frozenset({"401", "429", "500", "503"})
"""What both a function and API Gateway may answer."""

_FOR_WHO_MAY_CHANGE = re.compile(
    r"/v1/mailboxes(/\{mailbox_id\}(/(aliases(/\{address\})?|primary|disconnection|reconnect|backfill-preview|backfills/?.*))?"
    r"|/authorize(/complete)?)?"
    r"|/v1/mailboxes/\{mailbox_id\}/(sends/\{send_id\}/cancel|test-messages)|/v1/sends|/v1/policy"
)
_CAN_CONFLICT = frozenset(
    {
        ("POST", "/v1/mailboxes"),
        ("PATCH", "/v1/mailboxes/{mailbox_id}"),
        ("PUT", "/v1/mailboxes/{mailbox_id}/primary"),
        ("POST", "/v1/mailboxes/{mailbox_id}/aliases"),
        ("DELETE", "/v1/mailboxes/{mailbox_id}/aliases/{address}"),
        ("POST", "/v1/mailboxes/{mailbox_id}/sync"),
        ("POST", "/v1/mailboxes/{mailbox_id}/reconnect"),
        ("PUT", "/v1/contacts/{contact_id}"),
        ("POST", "/v1/contacts/{contact_id}/merge"),
        ("PUT", "/v1/policy"),
        SEND,
        CANCEL,
        TEST_MESSAGE,
        ("GET", "/v1/messages/{message_id}/answer"),
    }
)

_STATUS = {"200": "Done.", "201": "Made.", "202": "Taken on.", "204": "Done; there is no body."}


def resolvers() -> Iterator[tuple[str, APIGatewayHttpResolver]]:
    """Yield each function that has routes, with its resolver."""
    for name in HTTP_FUNCTIONS:
        yield name, importlib.import_module(f"functions.{name}.handler").app


def contract() -> dict[str, Any]:
    """Return the whole contract."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for name, app in resolvers():
        part = json.loads(
            app.get_openapi_json_schema(
                title="Mailroom", version=VERSION, description=DESCRIPTION, openapi_version="3.1.0"
            )
        )
        for route in (*app._static_routes, *app._dynamic_routes):  # noqa: SLF001 - it has no other list
            method, path = str(route.method), re.sub(r"<(\w+)>", r"{\1}", route.path)
            operation = part["paths"][path][method.lower()]
            if method.lower() in paths.setdefault(path, {}):
                raise SystemExit(f"{method} {path} is in two functions, the second is {name}")
            operation["operationId"] = route.func.__name__
            operation["description"] = inspect.getdoc(route.func)
            paths[path][method.lower()] = _finished(method, path, operation)
        schemas |= part.get("components", {}).get("schemas", {})
    for unused in ("HTTPValidationError", "ResponseValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = _problem_schema()
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    _describe(schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mailroom",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Beside this document: the API may stand below a path.
        "servers": [{"url": "."}],
        "security": [{"bearer": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
            "responses": {
                status: {
                    "description": text,
                    "content": _content_of(status),
                }
                for status, text in PROBLEMS.items()
            },
            "schemas": dict(sorted(schemas.items())),
        },
    }


def text_of(document: dict[str, Any]) -> str:
    """Return the file's text: the same for the same contract."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or with `--check` compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when it differs")
    check = parser.parse_args().check
    text = text_of(contract())
    if not check:
        TARGET.write_text(text, "utf-8")
        print(f"{TARGET.relative_to(ROOT)}: {len(text)} characters")
        return 0
    if TARGET.exists() and TARGET.read_text("utf-8") == text:
        return 0
    print("shared/api/openapi.json is not what the functions say: run `uv run poe openapi`")
    return 1


def _finished(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Give an operation a stable name, its problem answers, and none of the validator's own."""
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _problems_of(method, path, has_body="requestBody" in operation):
        responses[status] = {"$ref": f"#/components/responses/{status}"}
    for status, response in responses.items():
        if "$ref" not in response:
            response["description"] = _STATUS.get(status, "Done.")
    if "204" in responses:
        responses["204"].pop("content", None)
    if path == "/docs":
        responses["200"]["content"] = {"text/html": {"schema": {"type": "string"}}}
    if path == "/openapi.json":
        responses["200"]["content"] = {"application/json": {"schema": {"type": "object"}}}
    if (method, path) in PUBLIC:
        operation["security"] = []
    if (method, path) == CALLBACK:
        responses |= _answers_of_the_callback()
        del responses["200"]
    if (method, path) == CONFIRM:
        responses["200"] = {**responses["201"], "description": "Reconnected."}
    operation["responses"] = dict(sorted(responses.items()))
    return operation


def _answers_of_the_callback() -> dict[str, Any]:
    """Return what a person's browser gets: on its way back, or a page where there is none."""
    page = {"text/html": {"schema": {"type": "string"}}}
    location = {"description": "`return_url` with the outcome.", "schema": {"type": "string"}}
    return {
        "302": {"description": "Back to the front end.", "headers": {"Location": location}},
        "400": {"description": "No attempt that is known; a page says so.", "content": page},
        "503": {"description": "Try again; a page says so.", "content": page},
    }


def _content_of(status: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    if status in OF_THE_GATEWAY_TOO:
        schema = {"type": "object", "properties": {"message": {"type": "string"}}}
        content["application/json"] = {"schema": schema}
    return content


def _problems_of(method: str, path: str, *, has_body: bool) -> Iterator[str]:
    yield from ("400", "429", "500", "503")
    if (method, path) in PUBLIC:
        return
    yield "401"
    is_sign_in = (method, path) in SIGN_INS
    is_send = (method, path) == ("POST", "/v1/sends")
    if (
        is_sign_in
        or is_send
        or ("{" in path and (method, path) != ("PUT", "/v1/contacts/{contact_id}"))
    ):
        yield "404"
    is_preview = path.endswith("/backfill-preview")
    changes = method != "GET" or is_preview or path.endswith("/disconnection")
    if path == "/v1/activity" or (changes and _FOR_WHO_MAY_CHANGE.fullmatch(path)):
        yield "403"
    imports = is_preview or (method == "POST" and "/backfills" in path)
    if is_sign_in or (method, path) in _CAN_CONFLICT or imports:
        yield "409"
    if is_sign_in or is_preview:
        yield "502"
    if (method, path) in {CONFIRM, SEND}:
        yield "422"
    if (method, path) == CONFIRM or "{contact_id}" in path:
        yield "410"
    if has_body:
        yield "415"
    if method == "POST" and (path == "/v1/mailboxes" or path.endswith("/reconnect")):
        yield "422"


def _describe(schemas: dict[str, Any]) -> None:
    """Put the text below each field of the schemas, own or inherited, into the contract."""
    classes = {
        node.name: node
        for source in sorted(SCHEMAS.glob("*.py"))
        for node in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    for name in schemas.keys() & classes.keys():
        line = [classes[name]]
        for node in line:
            bases = (base.id for base in node.bases if isinstance(base, ast.Name))
            line += [classes[base] for base in bases if base in classes]
        for node in reversed(line):
            _describe_fields(node, schemas[name].get("properties", {}))


def _describe_fields(node: ast.ClassDef, properties: dict[str, Any]) -> None:
    for field, text in pairwise(node.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ) if name in properties:
                properties[name]["description"] = inspect.cleandoc(said)


def _problem_schema() -> dict[str, Any]:
    from shared.api.schemas.problems import Problem  # noqa: PLC0415 - a task, not a function

    return Problem.model_json_schema(ref_template="#/components/schemas/{model}")


if __name__ == "__main__":
    sys.exit(main())
