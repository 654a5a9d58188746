"""Each rule finds its mistake: one broken template per case, made from ours."""

import copy

import pytest

from infra import lint_access, lint_exposure, lint_rules
from infra.lint_rules import schedule_problem
from tests.infra.template_text import translated
from tests.infra.test_template import RULES


def properties(template, name):
    return template["Resources"][name]["Properties"]


def body(template):
    return properties(template, "Api")["Body"]


def statements(template, role):
    return properties(template, role)["Policies"][0]["PolicyDocument"]["Statement"]


def put(name, key, value):
    """Set a property; a dotted key goes deeper."""

    def change(template):
        at = template["Resources"][name]
        *path, last = key.split(".")
        for step in path:
            at = at[step]
        at[last] = value

    return change


def drop(name, key):
    def change(template):
        at = template["Resources"][name]
        *path, last = key.split(".")
        for step in path:
            at = at[step]
        del at[last]

    return change


def without_resource(name):
    def change(template):
        del template["Resources"][name]

    return change


def with_resource(name, kind, **settings):
    def change(template):
        template["Resources"][name] = {"Type": kind, "Properties": settings}

    return change


def operation(path, method, key, value):
    def change(template):
        body(template)["paths"][path][method][key] = value

    return change


def copied_route(path, method, new_path, new_method):
    def change(template):
        paths = body(template)["paths"]
        paths.setdefault(new_path, {})[new_method] = copy.deepcopy(paths[path][method])

    return change


def allows(role, action, resource):
    def change(template):
        statements(template, role).append(
            {"Effect": "Allow", "Action": action, "Resource": resource}
        )

    return change


def cors(key, value):
    def change(template):
        body(template)["x-amazon-apigateway-cors"]["Fn::If"][1][key] = value

    return change


def jwt(key, value):
    def change(template):
        scheme = body(template)["components"]["securitySchemes"]["Jwt"]
        scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"][key] = value

    return change


def no_schemes(template):
    del body(template)["components"]


def borrowed_role(template):
    properties(template, "ReadMailFunction")["Role"] = {"Fn::GetAtt": ["SyncMailboxRole", "Arn"]}


def open_role(template):
    trust = properties(template, "ReadMailRole")["AssumeRolePolicyDocument"]["Statement"]
    trust[0]["Principal"] = {"Service": "lambda.amazonaws.com", "AWS": "*"}


def unconditional_schedule(template):
    trust = properties(template, "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"]
    del trust[0]["Condition"]


def all_but_one(template):
    statement = statements(template, "ReadMailRole")[0]
    statement["NotAction"] = statement.pop("Action")


def unguarded_queue(template):
    properties(template, "QueuesOverTlsOnly")["Queues"].remove({"Ref": "SyncQueue"})


def unguarded_bucket(template):
    policy = properties(template, "BucketOverTlsOnly")["PolicyDocument"]
    policy["Statement"][0]["Effect"] = "Allow"


def wider_secret(template):
    text = (
        "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}"
        ":secret:mailroom-${Stage}/*"
    )
    for statement in statements(template, "SyncMailboxRole"):
        if statement["Action"] == "secretsmanager:GetSecretValue":
            statement["Resource"] = {"Fn::Sub": text}


def reaches_all(role):
    def change(template):
        for statement in statements(template, role):
            statement.pop("Condition", None)

    return change


def decrypts_anything(template):
    for statement in statements(template, "SyncMailboxRole"):
        if "kms:Decrypt" in statement["Action"]:
            del statement["Condition"]


def deaf_mapping(template):
    for statement in statements(template, "SyncMailboxRole"):
        if "sqs:ReceiveMessage" in statement["Action"]:
            statement["Action"].remove("sqs:GetQueueAttributes")


def for_any_api(template):
    del properties(template, "ConnectMailboxFunctionConnectPermission")["SourceArn"]


def lets_in(name, principal, **condition):
    def change(template):
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sqs:*", "Resource": "*"}
        policy = properties(template, name)["PolicyDocument"]
        policy["Statement"].append(statement | condition)

    return change


MODULES = (lint_rules, lint_access, lint_exposure)
MAPPING = "SyncMailboxFunctionDue"
STREAM = "PublishEventsFunctionTableChanged"
TICK = "ScheduleSyncFunctionEveryMinute"
TABLE_ARN = {"Fn::GetAtt": ["Table", "Arn"]}
CASES = [
    # rule, what is broken, what the finding names
    ("schedules_are_valid", put(TICK, "Properties.ScheduleExpression", "rate(1 minutes)"), TICK),
    ("schedules_are_valid", put(TICK, "Properties.ScheduleExpression", "every minute"), TICK),
    ("schedules_report_failure", drop(TICK, "Properties.Target.RetryPolicy"), "RetryPolicy"),
    ("schedules_report_failure", drop(TICK, "Properties.Target.DeadLetterConfig"), "dead-letter"),
    (
        "schedules_report_failure",
        without_resource("ScheduleSyncFunctionEventInvokeConfig"),
        "OnFailure",
    ),
    (
        "batches_report_failures",
        put(MAPPING, "Properties.FunctionResponseTypes", ["ReportBatchItemFailure"]),
        MAPPING,
    ),
    ("batches_report_failures", drop(MAPPING, "Properties.FunctionResponseTypes"), MAPPING),
    ("visibility_covers_timeout", put("SyncQueue", "Properties.VisibilityTimeout", 724), "725"),
    ("visibility_covers_timeout", drop("ChunkQueue", "Properties.VisibilityTimeout"), "30 s"),
    (
        "visibility_covers_timeout",
        put("RecordDeadLetterFunction", "Properties.Timeout", 61),
        "ChunkDeadLetterQueue",
    ),
    ("consumers_are_bounded", drop(MAPPING, "Properties.ScalingConfig"), MAPPING),
    ("streams_lose_nothing", drop(STREAM, "Properties.DestinationConfig"), "no queue for records"),
    ("streams_lose_nothing", put(STREAM, "Properties.MaximumRecordAgeInSeconds", -1), "forgotten"),
    ("streams_lose_nothing", put(STREAM, "Properties.MaximumRetryAttempts", 5), "outage"),
    ("streams_lose_nothing", drop(STREAM, "Properties.BisectBatchOnFunctionError"), "holds up"),
    ("streams_lose_nothing", drop(STREAM, "Properties.FilterCriteria"), "every write"),
    ("queues_have_dead_letters", drop("PlanQueue", "Properties.RedrivePolicy"), "PlanQueue"),
    ("queues_have_dead_letters", with_resource("Extra", "AWS::SQS::Queue"), "Extra"),
    (
        "queues_have_dead_letters",
        put("SyncQueue", "Properties.MessageRetentionPeriod", 3600),
        "3750 s",
    ),
    (
        "queues_have_dead_letters",
        drop("ChunkDeadLetterQueue", "Properties.MessageRetentionPeriod"),
        "ChunkQueue",
    ),
    (
        "own_queues_may_loop",
        drop("RunBackfillChunkFunction", "Properties.RecursiveLoop"),
        "ChunkQueue",
    ),
    (
        "own_queues_may_loop",
        put("SyncMailboxFunction", "Properties.RecursiveLoop", "Terminate"),
        "SyncMailboxFunction",
    ),
    (
        "self_invokers_may_loop",
        drop("ScheduleSyncFunction", "Properties.RecursiveLoop"),
        "ScheduleSyncFunction",
    ),
    (
        "functions_log_to_their_own_group",
        drop("ReadMailFunction", "Properties.LoggingConfig"),
        "ReadMailFunction",
    ),
    (
        "functions_log_to_their_own_group",
        put(
            "ReadMailFunction", "Properties.LoggingConfig", {"LogGroup": {"Ref": "SyncMailboxLogs"}}
        ),
        "no log group of its own",
    ),
    (
        "functions_log_to_their_own_group",
        drop("ApiLogs", "Properties.RetentionInDays"),
        "ApiLogs",
    ),
    (
        "functions_are_alike",
        put(
            "ReadMailFunction",
            "Properties.Handler",
            "functions.sync_mailbox.handler.lambda_handler",
        ),
        "Handler",
    ),
    ("functions_are_alike", put("ReadMailFunction", "Properties.Runtime", "python3.9"), "Runtime"),
    ("functions_are_alike", drop("ReadMailFunction", "Metadata"), "infra/Makefile"),
    ("functions_are_alike", drop("ReadMailFunction", "Properties.TracingConfig"), "TracingConfig"),
    (
        "routes_are_authorised",
        operation("/v1/messages", "get", "security", [{"NONE": []}]),
        "GET /v1/messages",
    ),
    ("routes_are_authorised", operation("/v1/messages", "get", "security", []), "GET /v1/messages"),
    (
        "routes_are_authorised",
        copied_route("/docs", "get", "/v1/open", "post"),
        "POST /v1/open: no authorizer",
    ),
    ("routes_are_authorised", operation("/docs", "get", "security", [{"Jwt": []}]), "GET /docs"),
    ("authorizers_check_tokens", jwt("issuer", ""), "Jwt"),
    ("authorizers_check_tokens", jwt("audience", [""]), "Jwt"),
    ("authorizers_check_tokens", no_schemes, "no authorizer Jwt"),
    (
        "routes_are_explicit",
        copied_route("/v1/messages", "get", "/v1/{proxy+}", "get"),
        "GET /v1/{proxy+}",
    ),
    (
        "routes_are_explicit",
        copied_route("/v1/messages", "get", "/v1/any", "x-amazon-apigateway-any-method"),
        "ANY /v1/any",
    ),
    (
        "routes_are_explicit",
        copied_route("/v1/messages", "get", "/$default", "get"),
        "$default",
    ),
    (
        "routes_answer_in_time",
        put("ReadMailFunction", "Properties.Timeout", 60),
        "ReadMailFunction: may take 60 s",
    ),
    ("origins_are_exact", cors("allowOrigins", ["*"]), "wildcard"),
    ("origins_are_exact", cors("allowHeaders", ["*"]), "wildcard"),
    ("origins_are_exact", cors("allowCredentials", True), "credentials"),
    ("roles_are_not_shared", borrowed_role, "SyncMailboxRole"),
    ("roles_are_not_shared", open_role, "ReadMailRole"),
    (
        "roles_are_not_shared",
        put("ReadMailFunction", "Properties.Role", "arn:aws:iam::1:role/x"),
        "ReadMail",
    ),
    (
        "roles_are_written_out",
        put("ReadMailRole", "Properties.ManagedPolicyArns", ["arn:aws:iam::aws:policy/x"]),
        "ReadMailRole",
    ),
    ("roles_are_written_out", with_resource("More", "AWS::IAM::Policy"), "More"),
    ("roles_hold_no_wildcard", allows("ReadMailRole", "dynamodb:*", TABLE_ARN), "dynamodb:*"),
    ("roles_hold_no_wildcard", allows("ReadMailRole", ["s3:Get*"], TABLE_ARN), "s3:Get*"),
    ("roles_hold_no_wildcard", allows("ReadMailRole", "dynamodb:GetItem", "*"), "dynamodb:GetItem"),
    (
        "roles_hold_no_wildcard",
        allows("ReadMailRole", ["xray:PutTraceSegments", "sqs:SendMessage"], "*"),
        "sqs:SendMessage",
    ),
    (
        "roles_hold_no_wildcard",
        allows("ReadMailRole", "dynamodb:Query", {"Fn::Sub": "${Table.Arn}/index/*"}),
        "index/*",
    ),
    (
        "roles_hold_no_wildcard",
        allows("ReadMailRole", "s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/*"}),
        "${Bucket.Arn}/*",
    ),
    ("roles_hold_no_wildcard", wider_secret, "mailroom-${Stage}/*"),
    ("roles_hold_no_wildcard", all_but_one, "everything but"),
    ("schedules_cannot_be_borrowed", unconditional_schedule, "ScheduleRole"),
    (
        "secrets_are_kept_apart",
        allows("ReadMailRole", "secretsmanager:GetSecretValue", TABLE_ARN),
        "ReadMailRole",
    ),
    (
        "secrets_are_kept_apart",
        allows("ConnectMailboxRole", ["secretsmanager:GetSecretValue"], TABLE_ARN),
        "ConnectMailboxRole",
    ),
    (
        "secrets_are_kept_apart",
        allows("ScheduleRole", "SecretsManager:GetSecretValue", TABLE_ARN),
        "ScheduleRole",
    ),
    (
        "readers_only_read",
        allows("ReadMailRole", "dynamodb:PutItem", TABLE_ARN),
        "dynamodb:PutItem",
    ),
    ("readers_only_read", allows("ReadMailRole", "sqs:SendMessage", TABLE_ARN), "sqs:SendMessage"),
    ("data_is_protected", drop("Table", "DeletionPolicy"), "DeletionPolicy"),
    ("data_is_protected", drop("Table", "Properties.DeletionProtectionEnabled"), "Deletion"),
    ("data_is_protected", drop("Table", "Properties.PointInTimeRecoverySpecification"), "Recovery"),
    ("data_is_protected", drop("Table", "Properties.SSESpecification"), "SSE"),
    (
        "data_is_protected",
        put("Table", "Properties.TimeToLiveSpecification.AttributeName", "expires"),
        "TimeToLive",
    ),
    (
        "data_is_protected",
        put("Bucket", "Properties.PublicAccessBlockConfiguration.BlockPublicPolicy", False),
        "PublicAccessBlock",
    ),
    ("data_is_protected", drop("Bucket", "Properties.BucketEncryption"), "BucketEncryption"),
    ("data_is_protected", drop("SyncQueue", "Properties.SqsManagedSseEnabled"), "SyncQueue"),
    ("data_is_protected", unguarded_queue, "SyncQueue: answers without TLS"),
    ("data_is_protected", unguarded_bucket, "Bucket: answers without TLS"),
    (
        "buckets_know_one_owner",
        put("Bucket", "Properties.OwnershipControls.Rules", [{"ObjectOwnership": "ObjectWriter"}]),
        "Bucket: objects",
    ),
    ("functions_are_invoked_by_ours_alone", for_any_api, "no source of ours"),
    (
        "functions_are_invoked_by_ours_alone",
        put("ConnectMailboxFunctionConnectPermission", "Properties.Principal", "*"),
        "invoked by *",
    ),
    (
        "functions_are_invoked_by_ours_alone",
        with_resource("Link", "AWS::Lambda::Url", AuthType="NONE"),
        "Link: a link for anybody",
    ),
    (
        "queues_are_read_by_their_function",
        deaf_mapping,
        "SyncMailboxRole: lacks sqs:GetQueueAttributes on SyncQueue",
    ),
    (
        "queues_are_read_by_their_function",
        allows("ReadMailRole", "sqs:ReceiveMessage", {"Fn::GetAtt": ["SyncQueue", "Arn"]}),
        "ReadMailRole: reads SyncQueue",
    ),
    ("roles_work_with_data_alone", allows("SyncMailboxRole", "iam:PassRole", "x"), "iam:PassRole"),
    (
        "roles_work_with_data_alone",
        allows("ReadMailRole", "dynamodb:DeleteTable", TABLE_ARN),
        "dynamodb:DeleteTable",
    ),
    ("stores_let_nobody_in", lets_in("QueuesOverTlsOnly", "*"), 'QueuesOverTlsOnly: lets in "*"'),
    (
        "stores_let_nobody_in",
        lets_in("BucketOverTlsOnly", {"AWS": "111122223333"}),
        "BucketOverTlsOnly: lets in",
    ),
    (
        "stores_let_nobody_in",
        lets_in("QueuesOverTlsOnly", {"Service": "events.amazonaws.com"}),
        "for anybody",
    ),
    ("login_keys_are_kept_apart", allows("ReadMailRole", "kms:Decrypt", "*"), "ReadMailRole"),
    ("login_keys_are_kept_apart", allows("ScheduleRole", "KMS:Decrypt", "*"), "ScheduleRole"),
    (
        "partitions_are_kept_apart",
        allows("ReceivePushRole", "dynamodb:PutItem", TABLE_ARN),
        "dynamodb:PutItem",
    ),
    (
        "partitions_are_kept_apart",
        reaches_all("ReceivePushRole"),
        "ReceivePushRole: dynamodb:Query",
    ),
    (
        "partitions_are_kept_apart",
        reaches_all("PreviewBackfillRole"),
        "PreviewBackfillRole: dynamodb:UpdateItem",
    ),
    ("login_keys_are_kept_apart", decrypts_anything, "without its condition"),
]


@pytest.mark.parametrize(("rule", "broken", "named"), CASES)
def test_rule_finds_the_mistake(rule, broken, named):
    template = translated()
    broken(template)
    check = next(vars(one)[rule] for one in MODULES if rule in vars(one))
    findings = check(template)
    assert any(named in finding for finding in findings), findings


def test_every_rule_is_shown_a_mistake():
    assert {rule for rule, _, _ in CASES} == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 hour)",
        "rate(7 days)",
        "cron(0/2 * * * ? *)",
        "cron(0 10 * * ? *)",
        "cron(15 12 ? * MON-FRI *)",
        "cron(0 18 ? * 2-6 2026-2030)",
        "cron(0,30 8-17 L JAN,JUL ? *)",
        "cron(0 9 15W * ? *)",
        "cron(0 9 ? * 6#3 *)",
        "cron(0 9 ? * 6L *)",
        "at(2026-11-21T12:00:00)",
    ],
)
def test_schedule_is_accepted(expression):
    assert schedule_problem(expression) is None


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(1 second)",
        "rate(1.5 hours)",
        "rate(5 Minutes)",
        "rate(5minutes)",
        "cron(0/2 * * * *)",
        "cron(0/2 * * * * *)",
        "cron(60 * * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 ? 13 1 *)",
        "cron(0 0 ? * 8 *)",
        "cron(0 0 ? * MONDAY *)",
        "cron(0 0 1 * ? 1969)",
        "cron(0/0 * * * ? *)",
        "cron(? * * * ? *)",
        "cron(0  0 1 * ? *)",
        "cron(-1 * * * ? *)",
        "every minute",
        "at(2026-11-21)",
        "",
    ],
)
def test_schedule_is_refused(expression):
    assert schedule_problem(expression) is not None
