"""Who may do what: the rules for roles, routes and stored data in template.yaml.

As in `infra.lint_rules`, a rule takes a translated template and returns what is wrong with it. What
is allowed beyond the rule stands here by name, with the reason; nowhere else.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from infra.lint_rules import API_TIMEOUT_SECONDS, folder_of, of_type, statement_list, target
from infra.local.expand import routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.local.expand import Route

Template = dict[str, Any]

PUBLIC_ROUTES: Final = frozenset(
    {
        "GET /v1/health",  # load balancers and uptime checks carry no token
        "GET /openapi.json",  # the contract holds no data
        "GET /docs",  # a page over the contract
        # A page that signs its users in: its files are this repository's, its settings no secret.
        "GET /app",
        "GET /app/{file}",
        # A browser coming from a provider carries no token; nothing is redeemed for it alone.
        "GET /v1/oauth/{provider}/callback",
        # Providers prove themselves otherwise; who does not is told nothing, and nothing is done.
        "POST /v1/push/gmail",
        "POST /v1/push/outlook",
    }
)

WITHOUT_RESOURCE: Final = frozenset({"xray:PutTelemetryRecords", "xray:PutTraceSegments"})
"""Actions AWS defines no resource for: `*` is the only thing that can be written."""

_OF_SECRETS: Final = (
    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}"
    ":secret:mailroom-${Stage}/"
)
PREFIXES: Final = frozenset(
    {
        # Names hold tenant and mailbox, unknown when the role is written.
        f"{_OF_SECRETS}mailbox/*",
        # Names hold provider and tenant.
        f"{_OF_SECRETS}oauth/*",
        # Which streams a table has is asked of all of them.
        "${Table.Arn}/stream/*",
        "${Bucket.Arn}/attachments/*",
        "${Bucket.Arn}/bodies/*",
        "${Bucket.Arn}/letters/*",
        "${Bucket.Arn}/outgoing/*",
        "${Bucket.Arn}/sending-uploads/*",
    }
)
"""The only resources that may end in a `*`."""

_STORE: Final = frozenset({"CreateSecret", "PutSecretValue", "DeleteSecret"})
_RENEW: Final = frozenset({"GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"})
_MOVE: Final = _RENEW | _STORE
LOGINS: Final[dict[str, frozenset[str]]] = {
    "connect_mailbox": _STORE,
    "complete_connection": _STORE,
    # The two functions that answer HTTP and read a login: what withdraws a grant is in it, and what
    # a provider is asked with before an import begins.
    "disconnect_mailbox": frozenset({"GetSecretValue", "DeleteSecret"}),
    "preview_backfill": _RENEW,
    # Deletes one that is left over, and reads none.
    "erase_mail": frozenset({"DeleteSecret"}),
    # It alone moves logins from one store to the other.
    "sync_mailbox": _MOVE,
    "plan_backfill": _RENEW,
    "run_backfill_chunk": _RENEW,
    "deliver_outbound": _RENEW,
}
"""Who may do what to stored logins."""
LOGIN_KEY: Final[dict[str, frozenset[str]]] = {
    # Sealing asks for a tenant's public key, which is no secret; this is for making the first pair.
    "connect_mailbox": frozenset({"Encrypt"}),
    "complete_connection": frozenset({"Encrypt"}),
    "sync_mailbox": frozenset({"Encrypt", "Decrypt"}),
    "disconnect_mailbox": frozenset({"Decrypt"}),
    "preview_backfill": frozenset({"Decrypt"}),
    "plan_backfill": frozenset({"Decrypt"}),
    "run_backfill_chunk": frozenset({"Decrypt"}),
    "deliver_outbound": frozenset({"Decrypt"}),
}
"""Who may do what with the key that opens sealed logins: who may read one, and who seals one."""
_KEY_ARN: Final = "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/${LoginKeyId}"
_KEY_CONDITION: Final = {
    "StringEquals": {"kms:EncryptionContext:purpose": "mailroom-logins"},
    "Null": {"kms:EncryptionContext:tenant": "false"},
}
CLIENTS: Final[dict[str, frozenset[str]]] = {
    name: frozenset({"GetSecretValue"}) for name in LOGINS if name != "erase_mail"
}
"""Who may read this product's registrations at providers; nothing deployed may write one."""

READ_ONLY: Final = frozenset({"read_mail"})
_READS: Final = re.compile(
    r"dynamodb:(GetItem|BatchGetItem|Query)|s3:GetObject|logs:(CreateLogStream|PutLogEvents)"
    r"|xray:(PutTelemetryRecords|PutTraceSegments)"
)


def api_routes(template: Template) -> list[Route]:
    """Every route of every HTTP API in the template."""
    apis = of_type(template, "AWS::ApiGatewayV2::Api")
    return [route for _, properties in apis for route in routes(properties["Body"])]


def routes_are_authorised(template: Template) -> list[str]:
    """A route without an authorizer is an open door, not a 401."""
    found = []
    for route in api_routes(template):
        key = f"{route.method} {route.path}"
        if route.authorizer is None and key not in PUBLIC_ROUTES:
            found.append(f"{key}: no authorizer, and not on the list of public routes")
        if route.authorizer is not None and key in PUBLIC_ROUTES:
            found.append(f"{key}: on the list of public routes, but has an authorizer")
    return found


def authorizers_check_tokens(template: Template) -> list[str]:
    """An authorizer must be there and pin issuer and audience: else any token of anybody passes."""
    found = []
    for name, properties in of_type(template, "AWS::ApiGatewayV2::Api"):
        defined = properties["Body"].get("components", {}).get("securitySchemes", {})
        for scheme, definition in defined.items():
            jwt = definition.get("x-amazon-apigateway-authorizer", {}).get("jwtConfiguration", {})
            if not jwt.get("issuer") or not any(jwt.get("audience", [])):
                found.append(f"{name}: authorizer {scheme} lacks issuer or audience")
        used = {route.authorizer for route in routes(properties["Body"])} - {None}
        found += [
            f"{name}: no authorizer {scheme}" for scheme in sorted(map(str, used - set(defined)))
        ]
    return found


def routes_are_explicit(template: Template) -> list[str]:
    """API Gateway, not code, refuses what we did not write down."""
    return [
        f"{route.method} {route.path}: a route for anything"
        for route in api_routes(template)
        if route.method == "ANY" or "$default" in route.path or "+}" in route.path
    ]


def routes_answer_in_time(template: Template) -> list[str]:
    """API Gateway ends a request after 30 s with a 503 of its own."""
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    return [
        f"{name}: may take {functions[name]['Timeout']} s, an API waits {API_TIMEOUT_SECONDS} s"
        for name in sorted({route.function for route in api_routes(template)})
        if functions[name]["Timeout"] > API_TIMEOUT_SECONDS
    ]


def origins_are_exact(template: Template) -> list[str]:
    """A wildcard origin, or cookies, would let any page act for whoever reads it."""
    found = []
    for name, properties in of_type(template, "AWS::ApiGatewayV2::Api"):
        cors = json.dumps(properties["Body"].get("x-amazon-apigateway-cors", {}))
        if '"*"' in cors:
            found.append(f"{name}: a wildcard in CORS")
        if re.search(r'"allowCredentials": (true|"true")', cors):
            found.append(f"{name}: CORS allows credentials")
    return found


def roles_are_not_shared(template: Template) -> list[str]:
    """A role per function, written out here, for Lambda alone."""
    found, taken = [], set()
    roles = dict(of_type(template, "AWS::IAM::Role"))
    for name, properties in of_type(template, "AWS::Lambda::Function"):
        role = target(properties.get("Role"))
        if role != name.removesuffix("Function") + "Role" or role in taken:
            found.append(f"{name}: its role is {role}, not one of its own")
            continue
        taken.add(role)
        trust = json.dumps(roles[role]["AssumeRolePolicyDocument"]["Statement"])
        if re.findall(r'"Principal": (.+?), "Action"', trust) != [
            '{"Service": "lambda.amazonaws.com"}'
        ]:
            found.append(f"{role}: may be taken by others than Lambda")
    return found


def roles_are_written_out(template: Template) -> list[str]:
    """Managed policies, SAM's too, say `Resource: *`; a separate policy escapes these rules."""
    found = [
        f"{name}: ManagedPolicyArns"
        for name, properties in of_type(template, "AWS::IAM::Role")
        if properties.get("ManagedPolicyArns")
    ]
    separate = of_type(
        template, "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"
    )
    return found + [f"{name}: a policy outside its role" for name, _ in separate]


def roles_hold_no_wildcard(template: Template) -> list[str]:
    """Single actions on single resources, but for the lists above."""
    found = []
    for role, statement in allowed(template):
        if {"NotAction", "NotResource"} & statement.keys():
            found.append(f"{role}: allows everything but something")
            continue
        actions = statement_list(statement["Action"])
        found += [f"{role}: action {action}" for action in actions if "*" in action]
        for resource in statement_list(statement["Resource"]):
            text = resource if isinstance(resource, str) else json.dumps(resource)
            listed = text == "*" and set(actions) <= WITHOUT_RESOURCE
            prefix = isinstance(resource, dict) and resource.get("Fn::Sub") in PREFIXES
            if "*" in text and not listed and not prefix:
                found.append(f"{role}: {', '.join(actions)} on {text}")
    return found


def schedules_cannot_be_borrowed(template: Template) -> list[str]:
    """Services that act for many accounts take a role only for our own (confused deputy)."""
    return [
        f"{name}: {service} may take it for anybody: no aws:SourceAccount"
        for name, properties in of_type(template, "AWS::IAM::Role")
        for statement in properties["AssumeRolePolicyDocument"]["Statement"]
        for service in statement_list(statement["Principal"].get("Service"))
        if service != "lambda.amazonaws.com"
        and "aws:SourceAccount" not in statement.get("Condition", {}).get("StringEquals", {})
    ]


def secrets_are_kept_apart(template: Template) -> list[str]:
    """Stored logins are the most valuable thing here: each function's part is on a list."""
    found = []
    for role, statements in _by_role(template, "secretsmanager:"):
        actions = {
            (action, _kind_of_secret(resource))
            for statement, names in statements
            for action in names
            for resource in statement_list(statement.get("Resource", []))
        }
        function = folder_of(role.removesuffix("Role"))
        expected = {(action, "mailbox") for action in LOGINS.get(function, ())}
        expected |= {(action, "oauth") for action in CLIENTS.get(function, ())}
        if actions != expected:
            found.append(f"{role}: secretsmanager {sorted(actions)} is not what its list says")
    return found


def login_keys_are_kept_apart(template: Template) -> list[str]:
    """The key to all sealed logins: each function's part is on a list, for no other use."""
    found = []
    for role, statements in _by_role(template, "kms:"):
        actions: set[str] = set()
        for statement, names in statements:
            actions |= names
            if statement.get("Resource") != {"Fn::Sub": _KEY_ARN}:
                found.append(f"{role}: kms on {json.dumps(statement.get('Resource'))}")
            if statement.get("Condition") != _KEY_CONDITION:
                found.append(f"{role}: kms without its condition")
        if actions != LOGIN_KEY.get(folder_of(role.removesuffix("Role")), frozenset()):
            found.append(f"{role}: kms {sorted(actions)} is not what its list says")
    return found


def _by_role(
    template: Template, service: str
) -> Iterator[tuple[str, list[tuple[Template, set[str]]]]]:
    """Every role, of a function or not, with what it allows of a service and the actions' names.

    IAM does not mind how an action is capitalised.
    """
    for role, _ in of_type(template, "AWS::IAM::Role"):
        named = [
            (
                statement,
                {
                    action[len(service) :]
                    for action in statement_list(statement.get("Action", []))
                    if action.lower().startswith(service)
                },
            )
            for holder, statement in allowed(template)
            if holder == role
        ]
        yield role, [one for one in named if one[1]]


def _kind_of_secret(resource: Any) -> str:
    """`mailbox` or `oauth`; the whole resource for any other."""
    text = resource.get("Fn::Sub") if isinstance(resource, dict) else resource
    kinds = {f"{_OF_SECRETS}{kind}/*": kind for kind in ("mailbox", "oauth")}
    return kinds.get(str(text), json.dumps(resource))


def readers_only_read(template: Template) -> list[str]:
    """The busiest path can change nothing and reads no login."""
    readers = {f"{''.join(map(str.capitalize, name.split('_')))}Role" for name in READ_ONLY}
    return [
        f"{role}: {action}"
        for role, statement in allowed(template)
        for action in statement_list(statement.get("Action", []))
        if role in readers and not _READS.fullmatch(action)
    ]


def data_is_protected(template: Template) -> list[str]:
    """Encrypted, private, over TLS only, restorable, and not gone with the stack."""
    found = []
    guarded = _guarded_by_tls(template)
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        wanted = _PROTECTION.get(resource["Type"], {})
        found += [
            f"{name}: {path} is not {value!r}"
            for path, value in wanted.items()
            if _at(resource, path) != value
        ]
        if resource["Type"] in {"AWS::S3::Bucket", "AWS::SQS::Queue"} and name not in guarded:
            found.append(f"{name}: answers without TLS")
        if resource["Type"] == "AWS::DynamoDB::Table" and not properties.get(
            "DeletionProtectionEnabled"
        ):
            found.append(f"{name}: no DeletionProtectionEnabled")
    return found


_PROTECTION: Final[dict[str, dict[str, Any]]] = {
    "AWS::DynamoDB::Table": {
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled": True,
        "Properties.SSESpecification.SSEEnabled": True,
        "Properties.TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
    },
    "AWS::S3::Bucket": {
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties.PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "Properties.BucketEncryption.ServerSideEncryptionConfiguration": [
            {
                "BucketKeyEnabled": True,
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
            }
        ],
    },
    "AWS::SQS::Queue": {"Properties.SqsManagedSseEnabled": True},
}


def allowed(template: Template) -> Iterator[tuple[str, Template]]:
    """Role and statement, for every statement that allows something."""
    for name, properties in of_type(template, "AWS::IAM::Role"):
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield name, statement


def _guarded_by_tls(template: Template) -> set[str | None]:
    """Buckets and queues whose policy refuses every request without TLS."""
    guarded: set[str | None] = set()
    policies = of_type(template, "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy")
    for _, properties in policies:
        refuses = any(
            statement["Effect"] == "Deny"
            and statement["Principal"] == "*"
            and statement["Action"] in {"s3:*", "sqs:*"}
            and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
            for statement in properties["PolicyDocument"]["Statement"]
        )
        if refuses:
            guarded |= {target(item) for item in properties.get("Queues", [])}
            guarded.add(target(properties.get("Bucket")))
    return guarded


def _at(resource: Template, path: str) -> Any:
    value: Any = resource
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
