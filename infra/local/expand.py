"""How the template becomes plain CloudFormation without AWS, as tests and the emulator take it.

Two steps, each usable alone. `translate` is what CloudFormation does with
`Transform: AWS::Serverless-2016-10-31`, by SAM's own translator; tests read the outcome. `expand`
adds what the local emulator needs: SAM puts routes, authorizer and CORS into one OpenAPI `Body`,
which the emulator accepts and ignores (every route is a 404, every preflight refused), so they
become `Authorizer`, `Integration` and `Route` resources and `CorsConfiguration`. It also hands on
parameters as text where it then compares numbers, so those are put in.

Nested stacks are merged in (nested.py), as far as the emulator knows what they are made of.

Left out is what is untrue on one machine: the policies that refuse requests without TLS (the
emulator has none, and does obey them).
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from infra.local import nested

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Template = dict[str, Any]

REGION: Final = "us-east-1"
"""Where a translation pretends to be; SAM only needs it to choose the partition."""

_CODE: Final = ("mailroom-artifacts", "mailroom.zip")
_ANY: Final = "x-amazon-apigateway-any-method"
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete", "options", "head", _ANY})
_FUNCTION: Final = re.compile(r"\$\{(\w+)(?:\.Arn|\.Alias)?\}/invocations")


_NOT_LOCAL: Final = frozenset(
    {
        "AWS::ApiGatewayV2::ApiMapping",
        "AWS::ApiGatewayV2::DomainName",
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
    }
)


class _Session:
    """The one attribute of a boto3 session that the translator reads."""

    region_name: Final = REGION


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path: which function answers, and who checks the caller (None: nobody)."""

    method: str
    path: str
    function: str
    authorizer: str | None
    scopes: tuple[str, ...]


def load(template_path: Path) -> Template:
    """The template as plain dicts and lists, `!Ref` and the like in their long form.

    Raises `yaml.YAMLError` on anything but YAML.
    """
    # By way of JSON: the parser answers in ordered dicts, which print and compare otherwise.
    plain: Template = json.loads(json.dumps(yaml_parse(template_path.read_text(encoding="utf-8"))))
    return plain


def translate(
    template: Template, parameters: Mapping[str, str], code: tuple[str, str] = _CODE
) -> Template:
    """What CloudFormation would make of a SAM template; the one given is not changed.

    `code` is the bucket and key that the functions' code is said to be in: `CodeUri: .` is a local
    folder until it is packaged. Raises `samtranslator`'s `InvalidDocumentException`.
    """
    source = copy.deepcopy(template)
    bucket, key = code
    source.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    declared = source.get("Parameters", {}).items()
    defaults = {name: spec["Default"] for name, spec in declared if "Default" in spec}
    values = {**defaults, "AWS::Region": REGION, "AWS::Partition": "aws", **parameters}
    # No map of AWS's managed policies: each role is written out, and asking AWS needs an account.
    translator = Translator({}, Parser(), boto_session=_Session())
    outcome = translator.translate(source, parameter_values=values)
    translated: Template = json.loads(json.dumps(outcome))
    return translated


def expand(
    template_path: Path, parameters: Mapping[str, str], code: tuple[str, str] = _CODE
) -> Template:
    """The template as the local emulator takes it: plain resources, and none that is not local.

    `parameters` are given again when the stack is deployed; here they settle what SAM decides by
    value. `code` is the bucket and key of the zip with `functions/`, `shared/` and what they need.
    """
    template = translate(load(template_path), parameters, code)
    nested.merge(template, lambda file: load(template_path.parent / file))
    numbers = {
        name: int(parameters.get(name, spec.get("Default", 0)))
        for name, spec in template.get("Parameters", {}).items()
        if spec["Type"] == "Number"
    }
    resources = template["Resources"]
    for name, resource in list(resources.items()):
        if resource["Type"] in _NOT_LOCAL:
            del resources[name]
        elif resource["Type"] == "AWS::ApiGatewayV2::Api":
            resources.update(_native_api(name, resource["Properties"]["Body"]))
        else:
            properties = resource.get("Properties", {})
            resource["Properties"] = {
                # A function's variables are text.
                key: value if key == "Environment" else _with_numbers(value, numbers)
                for key, value in properties.items()
            }
    return template


def _with_numbers(value: Any, numbers: Mapping[str, int]) -> Any:
    """`value` with every reference to a parameter that is a number replaced by it."""
    match value:
        case {"Ref": str(name)} if name in numbers:
            return numbers[name]
        case dict():
            return {key: _with_numbers(item, numbers) for key, item in value.items()}
        case list():
            return [_with_numbers(item, numbers) for item in value]
    return value


def routes(body: Template) -> list[Route]:
    """Every route in an OpenAPI body as SAM writes it, ordered by path and method.

    Raises ValueError for an integration without a function: a route that nobody answers.
    """
    found = []
    for path, methods in body["paths"].items():
        for method in _METHODS & methods.keys():
            operation = methods[method]
            uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
            function = _FUNCTION.search(uri)
            if function is None:
                message = f"{method} {path}: no function in {uri}"
                raise ValueError(message)
            entries = [entry for given in operation.get("security", []) for entry in given.items()]
            # SAM writes a public route as the scheme "NONE"; no entry at all is the same to AWS.
            schemes = [(name, tuple(scopes)) for name, scopes in entries if name != "NONE"]
            authorizer, scopes = schemes[0] if schemes else (None, ())
            verb = "ANY" if method == _ANY else method.upper()
            found.append(Route(verb, path, function[1], authorizer, scopes))
    return sorted(found, key=lambda route: (route.path, route.method))


def _native_api(api: str, body: Template) -> Template:
    """The API, its authorizers, an integration per function, a route per method and path."""
    properties: Template = {"Name": body["info"]["title"], "ProtocolType": "HTTP"}
    cors = _cors(body.get("x-amazon-apigateway-cors", {}))
    if cors is not None:
        properties["CorsConfiguration"] = cors
    native: Template = {api: {"Type": "AWS::ApiGatewayV2::Api", "Properties": properties}}
    for scheme, definition in body.get("components", {}).get("securitySchemes", {}).items():
        native[f"{api}{scheme}Authorizer"] = _authorizer(api, scheme, definition)
    for route in routes(body):
        native[f"{api}{route.function}Integration"] = _integration(api, route.function)
        words = re.findall(r"[A-Za-z0-9]+", f"{route.method.lower()} {route.path}")
        name = "".join(word.capitalize() for word in words)
        native[f"{api}Route{name}"] = _route(api, route)
    return native


def _authorizer(api: str, scheme: str, definition: Template) -> Template:
    given = definition["x-amazon-apigateway-authorizer"]
    jwt = given["jwtConfiguration"]
    return {
        "Type": "AWS::ApiGatewayV2::Authorizer",
        "Properties": {
            "ApiId": {"Ref": api},
            "Name": scheme,
            "AuthorizerType": "JWT",
            "IdentitySource": [given["identitySource"]],
            "JwtConfiguration": {"Issuer": jwt["issuer"], "Audience": jwt["audience"]},
        },
    }


def _integration(api: str, function: str) -> Template:
    return {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {
            "ApiId": {"Ref": api},
            "IntegrationType": "AWS_PROXY",
            "IntegrationMethod": "POST",
            "IntegrationUri": {"Fn::GetAtt": [function, "Arn"]},
            "PayloadFormatVersion": "2.0",
        },
    }


def _route(api: str, route: Route) -> Template:
    integration = {"Ref": f"{api}{route.function}Integration"}
    properties: Template = {
        "ApiId": {"Ref": api},
        "RouteKey": f"{route.method} {route.path}",
        "Target": {"Fn::Join": ["/", ["integrations", integration]]},
        "AuthorizationType": "NONE",
    }
    if route.authorizer is not None:
        properties["AuthorizationType"] = "JWT"
        properties["AuthorizerId"] = {"Ref": f"{api}{route.authorizer}Authorizer"}
        properties["AuthorizationScopes"] = list(route.scopes)
    return {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


def _cors(cors: Template) -> Template | None:
    """The OpenAPI extension in CloudFormation's spelling, or None when no origin is allowed.

    Settles the template's `If` by its outcome: without an origin there is nothing to allow.
    """
    match cors:
        case {"Fn::If": [_, dict(given), _]}:
            cors = given
    native = {key[0].upper() + key[1:]: value for key, value in cors.items()}
    match native.get("AllowOrigins"):
        case {"Fn::Split": [str(separator), str(origins)]}:
            native["AllowOrigins"] = [origin for origin in origins.split(separator) if origin]
    return native if native.get("AllowOrigins") else None
