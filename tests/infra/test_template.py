"""Our template keeps every rule, and says who may do what exactly as the golden files do."""

import json

import pytest

from infra.lint_access import (
    allowed,
    api_routes,
    authorizers_check_tokens,
    data_is_protected,
    login_keys_are_kept_apart,
    origins_are_exact,
    readers_only_read,
    roles_are_not_shared,
    roles_are_written_out,
    roles_hold_no_wildcard,
    routes_answer_in_time,
    routes_are_authorised,
    routes_are_explicit,
    schedules_cannot_be_borrowed,
    secrets_are_kept_apart,
)
from infra.lint_exposure import (
    buckets_know_one_owner,
    functions_are_invoked_by_ours_alone,
    partitions_are_kept_apart,
    queues_are_read_by_their_function,
    roles_work_with_data_alone,
    stores_let_nobody_in,
)
from infra.lint_rules import (
    batches_report_failures,
    consumers_are_bounded,
    folder_of,
    functions_are_alike,
    functions_log_to_their_own_group,
    of_type,
    own_queues_may_loop,
    queues_have_dead_letters,
    schedules_are_valid,
    schedules_report_failure,
    self_invokers_may_loop,
    statement_list,
    streams_lose_nothing,
    visibility_covers_timeout,
)
from shared.domain.schedule import CADENCES_MINUTES
from tests.infra.template_text import GOLDEN, RENDERED, ROOT, translated

RULES = [
    authorizers_check_tokens,
    batches_report_failures,
    buckets_know_one_owner,
    consumers_are_bounded,
    data_is_protected,
    functions_are_alike,
    functions_are_invoked_by_ours_alone,
    functions_log_to_their_own_group,
    login_keys_are_kept_apart,
    origins_are_exact,
    own_queues_may_loop,
    partitions_are_kept_apart,
    queues_are_read_by_their_function,
    queues_have_dead_letters,
    readers_only_read,
    roles_are_not_shared,
    roles_are_written_out,
    roles_hold_no_wildcard,
    roles_work_with_data_alone,
    routes_answer_in_time,
    routes_are_authorised,
    routes_are_explicit,
    schedules_are_valid,
    schedules_cannot_be_borrowed,
    schedules_report_failure,
    secrets_are_kept_apart,
    self_invokers_may_loop,
    stores_let_nobody_in,
    streams_lose_nothing,
    visibility_covers_timeout,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_template_keeps_the_rule(rule):
    assert rule(translated()) == []


@pytest.mark.parametrize("name", RENDERED)
def test_template_is_what_the_golden_file_says(name):
    expected = (GOLDEN / name).read_text(encoding="utf-8")
    assert RENDERED[name]() == expected, "if meant: python -m tests.infra.template_text"


def test_every_function_has_its_folder_and_every_folder_its_function():
    in_template = {folder_of(name) for name, _ in of_type(translated(), "AWS::Lambda::Function")}
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert in_template == folders


def test_readers_of_mail_have_no_part_in_secrets():
    text = RENDERED["roles.txt"]()
    role = text.split("ReadMailRole\n")[1].split("\nRecord")[0]
    assert "dynamodb:GetItem" in role
    assert "secretsmanager" not in role
    assert "Put" not in role.replace("logs:Put", "").replace("xray:Put", "")


def test_of_what_answers_http_only_disconnecting_and_a_preview_may_read_a_login():
    template = translated()
    answering = {f"{route.function.removesuffix('Function')}Role" for route in api_routes(template)}
    reading = {
        role
        for role, statement in allowed(template)
        if "secretsmanager:GetSecretValue" in statement_list(statement["Action"])
        and "/mailbox/*" in json.dumps(statement["Resource"])
    }
    opening = {
        role
        for role, statement in allowed(template)
        if "kms:Decrypt" in statement_list(statement["Action"])
    }
    assert opening == reading
    workers = {"SyncMailboxRole", "PlanBackfillRole", "RunBackfillChunkRole", "DeliverOutboundRole"}
    answers = {"DisconnectMailboxRole", "PreviewBackfillRole"}
    assert reading == answers | workers
    assert reading & answering == answers


def test_nothing_that_is_deployed_may_write_a_registration_at_a_provider():
    writing = {
        action
        for _, statement in allowed(translated())
        if "/oauth/*" in json.dumps(statement["Resource"])
        for action in statement_list(statement["Action"])
    }
    assert writing == {"secretsmanager:GetSecretValue"}


def test_people_come_back_to_an_address_of_the_configuration():
    variables = {
        name: properties["Environment"]["Variables"].get("MAILROOM_REDIRECT_URL")
        for name, properties in of_type(translated(), "AWS::Lambda::Function")
    }
    given = {name: value for name, value in variables.items() if value}
    assert set(given) == {"ConnectMailboxFunction"}
    assert given["ConnectMailboxFunction"]["Fn::If"][1] == {"Ref": "PublicUrl"}


def test_connecting_has_time_for_its_tests_of_both_servers():
    functions = dict(of_type(translated(), "AWS::Lambda::Function"))
    assert functions["ConnectMailboxFunction"]["Timeout"] >= 25


def test_only_the_local_stage_is_offered_private_hosts_by_hand():
    parameters = translated()["Parameters"]
    assert parameters["AllowPrivateHosts"]["Default"] == "false"
    assert parameters["AllowPlaintext"]["Default"] == "false"
    assert parameters["AllowAdminOpenings"]["Default"] == "false"
    assert parameters["AllowUntrustedCertificates"]["Default"] == "false"
    assert parameters["DeletionProtection"]["Default"] == "true"


def test_who_issues_tokens_has_no_default():
    parameters = translated()["Parameters"]
    assert "Default" not in parameters["JwtIssuer"]
    assert "Default" not in parameters["JwtAudience"]


def test_allowed_cadences_are_those_the_schedule_knows():
    assert tuple(translated()["Parameters"]["SyncMinutes"]["AllowedValues"]) == CADENCES_MINUTES


def test_what_failed_of_a_tick_is_still_young_enough_when_lambda_tries_it_again():
    (settings,) = [
        properties
        for _, properties in of_type(translated(), "AWS::Lambda::EventInvokeConfig")
        if properties["FunctionName"] == {"Ref": "ScheduleSyncFunction"}
    ]
    timeout = translated()["Resources"]["ScheduleSyncFunction"]["Properties"]["Timeout"]
    waits = 60
    assert settings["MaximumRetryAttempts"] == 1
    assert settings["MaximumEventAgeInSeconds"] > timeout + waits


def test_each_parameter_is_explained_and_stands_in_one_group():
    template = translated()
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert len(grouped) == len(set(grouped))
    assert set(template["Parameters"]) ^ set(grouped) == set()
    assert all(spec.get("Description") for spec in template["Parameters"].values())


def test_each_output_says_what_it_is_for():
    assert all(output.get("Description") for output in translated()["Outputs"].values())
