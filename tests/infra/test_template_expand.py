"""What the emulator is handed: the same API as native resources, and nothing that it would drop."""

import pytest

from infra.lint_access import api_routes
from infra.lint_rules import of_type, target
from infra.local.expand import expand, load, routes
from infra.local.nested import merge
from tests.infra.template_text import PARAMETERS, TEMPLATE, translated


@pytest.fixture(scope="module")
def expanded():
    return expand(TEMPLATE, PARAMETERS, code=("artifacts", "code.zip"))


def only(template, kind):
    found = list(of_type(template, kind))
    assert len(found) == 1
    return found[0]


def test_every_route_becomes_a_resource_with_its_function_and_authorizer(expanded):
    resources = expanded["Resources"]
    native = set()
    for _, properties in of_type(expanded, "AWS::ApiGatewayV2::Route"):
        integration = properties["Target"]["Fn::Join"][1][1]["Ref"]
        function = target(resources[integration]["Properties"]["IntegrationUri"])
        authorizer = properties.get("AuthorizerId", {}).get("Ref")
        native.add((properties["RouteKey"], function, authorizer, properties["AuthorizationType"]))
    expected = {
        (
            f"{route.method} {route.path}",
            route.function,
            "ApiJwtAuthorizer" if route.authorizer else None,
            "JWT" if route.authorizer else "NONE",
        )
        for route in api_routes(translated())
    }
    assert native == expected
    assert len(native) > 30


def test_api_keeps_its_origins_and_loses_its_document(expanded):
    name, properties = only(expanded, "AWS::ApiGatewayV2::Api")
    assert name == "Api"
    assert "Body" not in properties
    assert properties["CorsConfiguration"]["AllowOrigins"] == [
        "https://app.example",
        "https://crm.example",
    ]
    assert properties["CorsConfiguration"]["AllowHeaders"] == [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
    ]


def test_api_without_origins_has_no_cors():
    template = expand(TEMPLATE, {**PARAMETERS, "AllowedOrigins": ""})
    _, properties = only(template, "AWS::ApiGatewayV2::Api")
    assert "CorsConfiguration" not in properties


def test_authorizer_keeps_issuer_and_audience(expanded):
    _, properties = only(expanded, "AWS::ApiGatewayV2::Authorizer")
    assert properties["JwtConfiguration"] == {
        "Issuer": {"Ref": "JwtIssuer"},
        "Audience": [{"Ref": "JwtAudience"}],
    }
    assert properties["IdentitySource"] == ["$request.header.Authorization"]


def test_every_function_runs_the_given_code(expanded):
    codes = [properties["Code"] for _, properties in of_type(expanded, "AWS::Lambda::Function")]
    assert codes == [{"S3Bucket": "artifacts", "S3Key": "code.zip"}] * len(codes)
    assert codes


def test_api_may_call_each_function_it_routes_to(expanded):
    permitted = {
        target(properties["FunctionName"])
        for _, properties in of_type(expanded, "AWS::Lambda::Permission")
        if properties["Principal"] == "apigateway.amazonaws.com"
    }
    assert permitted == {route.function for route in api_routes(translated())}


def test_alarms_of_the_nested_stack_become_its_own_under_the_parent_s_parameters(expanded):
    alarms = dict(
        of_type(load(TEMPLATE.parent / "infra" / "alarms.yaml"), "AWS::CloudWatch::Alarm")
    )
    merged = dict(of_type(expanded, "AWS::CloudWatch::Alarm"))
    assert set(merged) == {f"Alarms{name}" for name in alarms}
    errors = merged["AlarmsApiServerErrors"]
    assert errors["Dimensions"] == [{"Name": "ApiId", "Value": {"Ref": "Api"}}]
    assert errors["AlarmName"] == {
        "Fn::Sub": ["mailroom-${Stage}-api-server-errors", {"Stage": {"Ref": "Stage"}}]
    }
    name, topic, nothing = errors["AlarmActions"]["Fn::If"]
    assert (topic, nothing) == ([{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"})
    assert name in expanded["Conditions"]


def test_what_a_nested_template_says_of_itself_still_holds_where_it_is_merged_in():
    inner = {
        "Parameters": {"Seconds": {"Type": "Number", "Default": 60}},
        "Conditions": {"Wanted": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
        "Resources": {
            "One": {
                "Type": "AWS::CloudWatch::Alarm",
                "Condition": "Wanted",
                "Properties": {
                    "Period": {"Ref": "Seconds"},
                    "AlarmName": {"Fn::Sub": "${Stage}-one"},
                },
            },
            "Both": {
                "Type": "AWS::CloudWatch::CompositeAlarm",
                "Properties": {
                    "AlarmRule": {"Fn::Sub": "ALARM(${One}) OR ALARM(${One.Arn})"},
                    "AlarmDescription": {"Fn::If": ["Wanted", {"Fn::GetAtt": ["One", "Arn"]}, ""]},
                },
            },
            "Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {}},
        },
    }
    outer = {
        "Resources": {
            "In": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": "in.yaml", "Parameters": {"Stage": "dev"}},
            }
        }
    }
    merge(outer, {"in.yaml": inner}.__getitem__)
    assert outer == {
        "Conditions": {"InWanted": {"Fn::Equals": ["dev", "prod"]}},
        "Resources": {
            "InOne": {
                "Type": "AWS::CloudWatch::Alarm",
                "Condition": "InWanted",
                "Properties": {
                    "Period": 60,
                    "AlarmName": {"Fn::Sub": ["${Stage}-one", {"Stage": "dev"}]},
                },
            },
            "InBoth": {
                "Type": "AWS::CloudWatch::CompositeAlarm",
                "Properties": {
                    "AlarmRule": {"Fn::Sub": "ALARM(${InOne}) OR ALARM(${InOne.Arn})"},
                    "AlarmDescription": {
                        "Fn::If": ["InWanted", {"Fn::GetAtt": ["InOne", "Arn"]}, ""]
                    },
                },
            },
        },
    }


def test_nothing_of_sam_and_no_nested_stack_is_left(expanded):
    kinds = {resource["Type"] for resource in expanded["Resources"].values()}
    assert not [kind for kind in kinds if "Serverless" in kind]
    assert "AWS::CloudFormation::Stack" not in kinds
    assert "Transform" not in expanded


def test_policies_that_refuse_http_stay_away_from_an_emulator_without_tls(expanded):
    kinds = {resource["Type"] for resource in expanded["Resources"].values()}
    assert not kinds & {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"}


def test_numbers_are_numbers_where_the_emulator_compares_them():
    template = expand(TEMPLATE, {**PARAMETERS, "SyncMaximumConcurrency": "7"})
    mappings = dict(of_type(template, "AWS::Lambda::EventSourceMapping"))
    assert mappings["SyncMailboxFunctionDue"]["ScalingConfig"] == {"MaximumConcurrency": 7}
    assert mappings["PlanBackfillFunctionPlanned"]["ScalingConfig"] == {"MaximumConcurrency": 20}
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    variables = functions["ConnectMailboxFunction"]["Environment"]["Variables"]
    assert variables["MAILROOM_SYNC_MINUTES"] == {"Ref": "SyncMinutes"}


def test_the_template_on_disk_is_not_changed_by_reading_it():
    before = load(TEMPLATE)
    expand(TEMPLATE, PARAMETERS)
    assert load(TEMPLATE) == before


def test_a_route_without_a_function_is_refused():
    body = {
        "paths": {
            "/lost": {"get": {"x-amazon-apigateway-integration": {"uri": "https://elsewhere"}}}
        }
    }
    with pytest.raises(ValueError, match="get /lost"):
        routes(body)
