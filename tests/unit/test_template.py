"""The resources of a deployment: the template after AWS's transforms, for each combination of options."""

import copy
import json
import os
import re
import subprocess
import tomllib
from collections import Counter
from fnmatch import fnmatchcase
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samcli.lib.cfn_language_extensions.api import process_template
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from dev import containers, revision
from rest_sessions.access.principal import Principal
from rest_sessions.access.registry import KeyRegistry
from rest_sessions.errors import StoreUnavailable
from tests import routes
from tests.events import logical_id

ROOT = Path(__file__).parents[2]
CODE = {"CodeUri": "functions", "ContentUri": "layers"}
FUNCTIONS = set(map(logical_id, routes.FUNCTIONS))
ROUTES = set(map(logical_id, routes.ROUTES))
CONSOLE = logical_id("console")
ROLES = {"StoreRole", "AuthorizeRole", "ConsoleRole"}
AUTHORIZERS = {"token": "KeyAuthorizer", "iam": "AWS_IAM"}
SECRET = {"Ref": "ApiKeys"}
NO_VALUE = {"Ref": "AWS::NoValue"}
INTERFACE_ACTIONS = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/example"
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:example"

OWN = {}
OWN_CACHE_IN_GIVEN_SUBNETS = {"SubnetIds": "subnet-a,subnet-b", "SecurityGroupId": "sg-functions"}
GIVEN_CACHE = {"RedisEndpoint": "cache.example:6380", "RedisCluster": "true"}
GIVEN_CACHE_IN_VPC = {**GIVEN_CACHE, **OWN_CACHE_IN_GIVEN_SUBNETS, "RedisSecurityGroupId": "sg-cache"}
GIVEN_CACHE_BY_IAM = {**GIVEN_CACHE_IN_VPC, "RedisUser": "app", "RedisIamCache": "replicationgroup:sessions"}
DEPLOYMENTS = {
    "own": OWN,
    "own-iam-auth": {"AuthMode": "iam"},
    "own-cache-in-given-subnets": OWN_CACHE_IN_GIVEN_SUBNETS,
    "given-cache": GIVEN_CACHE,
    "given-cache-in-vpc": GIVEN_CACHE_IN_VPC,
    "given-cache-by-iam": GIVEN_CACHE_BY_IAM,
    "all-options": {
        "Console": "true",
        "KmsKeyArn": KEY_ARN,
        "AlarmTopicArn": TOPIC_ARN,
        "SnapStart": "true",
        "ReservedConcurrency": "5",
    },
}


class NoManagedPolicies:
    def load(self):
        return {}


def read():
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


def translate(template=None, **given):
    """The resources that CloudFormation would create, with parameters and conditions resolved."""
    template = template or read()
    for name, resource in template["Resources"].items():
        # As `sam package` writes it.
        for part in CODE.keys() & resource.get("Properties", {}).keys():
            resource["Properties"].setdefault(part, "")
            resource["Properties"][part] = f"s3://bucket/{name}-{resource['Properties'][part].replace('/', '-')}"
    values = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    assert given.keys() <= values.keys()
    values |= given
    # This is what AWS::LanguageExtensions does in this template.
    auth = template["Resources"]["Api"]["Properties"]["Auth"]
    mapping, parameter, member = auth["DefaultAuthorizer"]["Fn::FindInMap"]
    auth["DefaultAuthorizer"] = template["Mappings"][mapping][values[parameter["Ref"]]][member]
    del template["Transform"]
    translated = transform(template, {**values, "AWS::Region": "us-east-1"}, NoManagedPolicies())
    return Resolved(translated, values).resources()


class Resolved:
    def __init__(self, template, values):
        self._template = template
        self._values = values

    def resources(self):
        return {
            name: self._value(resource)
            for name, resource in self._template["Resources"].items()
            if "Condition" not in resource or self._condition({"Condition": resource["Condition"]})
        }

    def _condition(self, condition):
        [(function, operands)] = condition.items()
        if function == "Condition":
            return self._condition(self._template["Conditions"][operands])
        if function == "Fn::Equals":
            left, right = (self._values[o["Ref"]] if isinstance(o, dict) else o for o in operands)
            return left == right
        return {"Fn::Not": lambda x: not x[0], "Fn::And": all, "Fn::Or": any}[function](
            [self._condition(operand) for operand in operands]
        )

    def _value(self, value):
        if isinstance(value, list):
            return [item for item in map(self._value, value) if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            return self._value(yes if self._condition({"Condition": condition}) else no)
        if value.keys() == {"Ref"} and value["Ref"] in self._values:
            return self._values[value["Ref"]]
        resolved = {name: self._value(part) for name, part in value.items()}
        return {name: part for name, part in resolved.items() if part != NO_VALUE}


@pytest.fixture(scope="module", autouse=True)
def region():
    """The transform gets the region from botocore."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def parameters(request):
    return DEPLOYMENTS[request.param]


@pytest.fixture(scope="module")
def resources(parameters):
    return translate(**parameters)


@pytest.fixture(scope="module")
def deployed(parameters):
    """The names of all functions."""
    return FUNCTIONS if "Console" in parameters else FUNCTIONS - {CONSOLE}


def of_type(resources, type):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == type}


def functions(resources):
    return of_type(resources, "AWS::Lambda::Function")


def document(resources):
    return resources["Api"]["Properties"]["Body"]


def operations(resources):
    """Each route's method, path and operation in the API's OpenAPI document."""
    for path, methods in document(resources)["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def source_of(permission):
    """What a permission lets call: the last part of an ARN, such as `${Api}/*/GET/ping`."""
    source = permission["SourceArn"]["Fn::Sub"]
    if isinstance(source, list):
        source, names = source
        api = "${Api}" if names["__ApiId__"] == {"Ref": "Api"} else names["__ApiId__"]
        source = source.replace("${__ApiId__}", api).replace("${__Stage__}", names["__Stage__"])
    return source.rpartition(":")[2]


def schemes_of(operation):
    """The security schemes to which a route refers. Any of them opens it."""
    return {scheme for requirement in operation.get("security", []) for scheme in requirement}


def statements(role):
    for policy in role.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def actions(statement):
    return {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])


class TestRoute:
    def test_calls_its_function_by_its_alias(self, resources, deployed):
        uris = [operation["x-amazon-apigateway-integration"]["uri"] for _, operation in operations(resources)]
        called = Counter(re.search(r"functions/\$\{(\w+)}/invocations", uri["Fn::Sub"])[1] for uri in uris)
        # The console's function has two routes.
        assert called == {f"{name}Aliaslive": 1 + (name == CONSOLE) for name in deployed & {*ROUTES, CONSOLE}}
        assert of_type(resources, "AWS::Lambda::Alias").keys() == {f"{name}Aliaslive" for name in deployed}

    def test_may_call_its_function_only_by_its_alias(self, resources, deployed):
        allowed = {
            permission["FunctionName"]["Ref"]
            for permission in of_type(resources, "AWS::Lambda::Permission").values()
            if permission["Principal"] == "apigateway.amazonaws.com"
        }
        assert allowed == {f"{name}Aliaslive" for name in deployed - {"SweepExpired"}}

    def test_may_call_its_function_by_a_permission_of_this_api(self, resources):
        allowed = list(map(source_of, of_type(resources, "AWS::Lambda::Permission").values()))
        for route, _ in operations(resources):
            call = re.sub(r"\{\w+}", "x", route).replace(" ", "")
            assert any(fnmatchcase(f"${{Api}}/$default/{call}", source) for source in allowed), route

    def test_has_its_authorizer_unless_it_is_ping_or_the_page(self, resources, parameters):
        schemes = {route: schemes_of(operation) for route, operation in operations(resources)}
        for open_route in {"GET /ping", "GET /console"} & schemes.keys():
            assert schemes.pop(open_route) <= {"NONE"}
        assert set(map(frozenset, schemes.values())) == {frozenset([AUTHORIZERS[parameters.get("AuthMode", "token")]])}

    def test_refers_to_no_scheme_that_would_fail_the_import(self, resources):
        """API Gateway warns about a scheme that the document does not define, such as SAM's NONE."""
        used = set().union(*(schemes_of(operation) for _, operation in operations(resources)))
        undefined = used - document(resources)["components"]["securitySchemes"].keys()
        warnings_fail = resources["Api"]["Properties"].get("FailOnWarnings", False)
        assert undefined <= (set() if warnings_fail else {"NONE"})

    @pytest.mark.parametrize("mode", AUTHORIZERS)
    def test_that_says_nothing_of_an_authorizer_is_closed(self, mode):
        template = read()
        route = template["Resources"]["Forgetful"] = copy.deepcopy(template["Resources"]["Ping"])
        route["Properties"]["Events"]["Route"]["Properties"] = {
            "ApiId": {"Ref": "Api"},
            "Method": "GET",
            "Path": "/forgetful",
        }
        schemes = {route: schemes_of(operation) for route, operation in operations(translate(template, AuthMode=mode))}
        assert schemes["GET /forgetful"] == {AUTHORIZERS[mode]}

    def test_is_throttled(self):
        settings = translate(ThrottleRate="7", ThrottleBurst="9")["ApiApiGatewayDefaultStage"]["Properties"]
        assert settings["DefaultRouteSettings"] == {"ThrottlingRateLimit": "7", "ThrottlingBurstLimit": "9"}


class TestAuthorizer:
    def test_gets_the_key_and_gives_simple_answers(self, resources):
        scheme = document(resources)["components"]["securitySchemes"]["KeyAuthorizer"]
        authorizer = scheme["x-amazon-apigateway-authorizer"]
        assert authorizer["type"] == "request"
        assert authorizer["authorizerPayloadFormatVersion"] == "2.0"
        assert authorizer["enableSimpleResponses"] is True
        assert authorizer["identitySource"] == ["$request.header.Authorization"]
        _, names = authorizer["authorizerUri"]["Fn::Sub"]
        assert names == {"__FunctionArn__": {"Fn::Join": [":", [{"Fn::GetAtt": ["Authorize", "Arn"]}, "live"]]}}
        assert resources["AuthorizeAliaslive"]["Properties"]["Name"] == "live"

    @pytest.mark.parametrize("seconds", [0, 300, 3600])
    def test_answers_are_cached_for_the_seconds_of_the_parameter(self, seconds):
        scheme = document(translate(AuthorizerCacheSeconds=seconds))["components"]["securitySchemes"]["KeyAuthorizer"]
        assert scheme["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] == seconds

    def test_by_iam_is_sigv4(self, resources):
        scheme = document(resources)["components"]["securitySchemes"]["AWS_IAM"]
        assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"

    def test_mode_reaches_every_function_of_the_store(self, resources, parameters):
        for name, function in functions(resources).items():
            mode = function["Environment"]["Variables"].get("AUTH_MODE")
            assert mode == (None if name == "Authorize" else parameters.get("AuthMode", "token")), name

    def test_mode_cannot_be_none(self):
        parameter = read()["Parameters"]["AuthMode"]
        assert parameter["AllowedValues"] == ["token", "iam"]
        assert parameter["Default"] == "token"


class TestSecret:
    def test_is_read_only_by_the_authorizer(self, resources):
        readers = {
            name: statement["Resource"]
            for name, role in of_type(resources, "AWS::IAM::Role").items()
            for statement in statements(role)
            if any(action.startswith("secretsmanager:") for action in actions(statement))
        }
        assert readers == {"AuthorizeRole": SECRET}
        roles = {name: function["Role"]["Fn::GetAtt"][0] for name, function in functions(resources).items()}
        assert [name for name, role in roles.items() if role == "AuthorizeRole"] == ["Authorize"]

    def test_is_named_only_to_the_authorizer(self, resources):
        named = {
            name: function["Environment"]["Variables"]["API_KEYS_SECRET"]
            for name, function in functions(resources).items()
            if "API_KEYS_SECRET" in function["Environment"]["Variables"]
        }
        assert named == {"Authorize": SECRET}

    def test_begins_with_a_generated_key_for_everything(self):
        resources = read()["Resources"]
        generated = resources["FirstKey"]["Properties"]["GenerateSecretString"]
        text = resources["ApiKeys"]["Properties"]["SecretString"]["Fn::Sub"]
        key = "k" * generated["PasswordLength"]
        assert generated["ExcludePunctuation"] is True
        registry = KeyRegistry.parse(text.replace("{{resolve:secretsmanager:${FirstKey}}}", key))
        assert registry.find(key) == Principal("first", frozenset("*"), frozenset("*"))


class TestRole:
    def test_has_no_wildcard_except_for_network_interfaces(self, resources):
        for name, role in of_type(resources, "AWS::IAM::Role").items():
            for statement in statements(role):
                assert "*" not in str(statement["Action"]), name
                if statement["Resource"] == "*":
                    assert actions(statement) == INTERFACE_ACTIONS

    def test_of_a_function_has_no_managed_policies(self, resources):
        for name in ROLES & resources.keys():
            assert "ManagedPolicyArns" not in resources[name]["Properties"]

    def test_lets_lambda_but_not_the_code_create_interfaces(self, resources, parameters):
        found = [s for s in statements(resources["StoreRole"]["Properties"]) if actions(s) == INTERFACE_ACTIONS]
        assert [s["Effect"] for s in found] == ([] if parameters == GIVEN_CACHE else ["Allow", "Deny"])
        assert all("lambda:SourceFunctionArn" in str(s["Condition"]) for s in found if s["Effect"] == "Deny")

    def test_writes_only_to_the_log_group_of_the_functions(self, resources):
        for name in ROLES & resources.keys():
            [logs] = [s for s in statements(resources[name]["Properties"]) if "logs:" in str(s["Action"])]
            assert logs["Resource"] == {"Fn::GetAtt": ["FunctionLogs", "Arn"]}
            assert actions(logs) == {"logs:CreateLogStream", "logs:PutLogEvents"}

    @pytest.mark.parametrize(
        ("parameters", "cache"),
        [(OWN, "serverlesscache:${Cache}"), (GIVEN_CACHE_BY_IAM, "replicationgroup:sessions"), (GIVEN_CACHE, None)],
        ids=["own", "by-iam", "given"],
    )
    def test_connects_to_the_one_cache_as_the_one_user(self, parameters, cache):
        role = translate(**parameters)["StoreRole"]["Properties"]
        allowed = [s["Resource"] for s in statements(role) if actions(s) == {"elasticache:Connect"}]
        assert len(allowed) == (cache is not None)
        for resource in allowed:
            [arn, user] = resource
            assert cache in str(arn)
            assert ("CacheUser" if parameters == OWN else "app") in str(user)


class TestConsole:
    @pytest.mark.parametrize("parameters", [{}, {"Console": "true", "AuthMode": "iam"}], ids=["by-default", "with-iam"])
    def test_leaves_nothing_when_it_is_off(self, parameters):
        assert "console" not in json.dumps(translate(**parameters)).lower()
        assert read()["Outputs"]["ConsoleUrl"]["Condition"] == read()["Resources"][CONSOLE]["Condition"]

    def test_knows_only_how_keys_are_checked(self):
        function = functions(translate(Console="true"))[CONSOLE]
        assert function["Environment"] == {"Variables": {"AUTH_MODE": "token"}}
        assert function["Role"] == {"Fn::GetAtt": ["ConsoleRole", "Arn"]}

    def test_may_only_write_logs(self):
        [statement] = statements(translate(Console="true")["ConsoleRole"]["Properties"])
        assert all(action.startswith("logs:") for action in actions(statement))

    @pytest.mark.parametrize("console", ["true", "false"])
    def test_is_the_same_after_the_language_extensions(self, console):
        """They may remove the references of a resource whose condition is false, before SAM reads it."""
        template = read()
        values = {name: str(p.get("Default", "")) for name, p in template["Parameters"].items()}
        processed = process_template(read(), {**values, "Console": console})["Resources"]
        template["Resources"][CONSOLE] = processed[CONSOLE]
        resources = translate(template, Console=console)
        assert document(resources) == document(translate(Console=console))
        # The name of a version ends with a hash of the resource.
        names, expected = (
            {re.sub("[0-9a-f]{10}$", "", name) for name in found} for found in (resources, translate(Console=console))
        )
        assert names == expected


class TestStore:
    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            (
                OWN,
                {
                    "REDIS_URL": {"Fn::Sub": "rediss://${Cache.Endpoint.Address}:${Cache.Endpoint.Port}"},
                    "REDIS_CLUSTER": "1",
                    "REDIS_USER": {"Ref": "CacheUser"},
                    "REDIS_PASSWORD": "",
                    "REDIS_IAM_CACHE": {"Fn::Sub": "serverlesscache:${Cache}"},
                },
            ),
            (
                {"RedisEndpoint": "valkey:6379", "RedisTls": "false"},
                {
                    "REDIS_URL": {"Fn::Sub": ["${Scheme}://${RedisEndpoint}", {"Scheme": "redis"}]},
                    "REDIS_CLUSTER": "0",
                    "REDIS_USER": "",
                    "REDIS_PASSWORD": "",
                    "REDIS_IAM_CACHE": "",
                },
            ),
            (
                {**GIVEN_CACHE, "RedisUser": "app", "RedisPasswordSecret": "arn:secret"},
                {
                    "REDIS_URL": {"Fn::Sub": ["${Scheme}://${RedisEndpoint}", {"Scheme": "rediss"}]},
                    "REDIS_CLUSTER": "1",
                    "REDIS_USER": "app",
                    "REDIS_PASSWORD": {"Fn::Sub": "{{resolve:secretsmanager:${RedisPasswordSecret}}}"},
                    "REDIS_IAM_CACHE": "",
                },
            ),
        ],
        ids=["own", "plain", "password"],
    )
    def test_is_passed_to_its_functions(self, parameters, expected):
        found = functions(translate(**parameters))
        variables = found.pop("Authorize")["Environment"]["Variables"]
        assert not any(name.startswith("REDIS") for name in variables)
        for function in found.values():
            variables = function["Environment"]["Variables"]
            assert {name: value for name, value in variables.items() if name.startswith("REDIS")} == expected

    def test_is_created_only_if_none_is_given(self, resources, parameters):
        own = {name for name, resource in resources.items() if resource["Type"].startswith("AWS::ElastiCache::")}
        assert own == (set() if "RedisEndpoint" in parameters else {"Cache", "CacheUser", "CacheUserGroup"})

    def test_of_its_own_has_limits_snapshots_and_the_one_user(self):
        resources = translate(CacheDataGigabytes="7", CacheEcpuPerSecond="8000", CacheSnapshotDays="3")
        cache = resources["Cache"]["Properties"]
        assert cache["CacheUsageLimits"] == {
            "DataStorage": {"Maximum": "7", "Unit": "GB"},
            "ECPUPerSecond": {"Maximum": "8000"},
        }
        assert cache["SnapshotRetentionLimit"] == "3"
        assert "FinalSnapshotName" in cache
        assert cache["UserGroupId"] == {"Ref": "CacheUserGroup"}
        assert resources["CacheUserGroup"]["Properties"]["UserIds"] == [{"Ref": "CacheUser"}]
        user = resources["CacheUser"]["Properties"]
        assert user["AuthenticationMode"] == {"Type": "iam"}
        assert user["UserId"] == user["UserName"]

    def test_of_its_own_may_have_no_snapshots(self):
        assert "FinalSnapshotName" not in translate(CacheSnapshotDays="0")["Cache"]["Properties"]


class TestNetwork:
    def test_is_created_only_for_an_own_cache_without_subnets(self, resources, parameters):
        own = {name for name, resource in resources.items() if resource["Type"].startswith("AWS::EC2::")}
        is_own = not {"RedisEndpoint", "SubnetIds"} & parameters.keys()
        # It has nothing that costs money while idle: no NAT, no endpoint, no address.
        assert own - {"CacheIngress"} == ({"Vpc", "SubnetA", "SubnetB", "SecurityGroup"} if is_own else set())

    def test_has_all_functions_that_use_the_store(self, resources, parameters):
        found = functions(resources)
        for name in {"Authorize", CONSOLE} & found.keys():
            assert "VpcConfig" not in found.pop(name)
        if parameters == GIVEN_CACHE:
            expected = None
        elif "SubnetIds" in parameters:
            subnets = {"Fn::Split": [",", "subnet-a,subnet-b"]}
            expected = {"SubnetIds": subnets, "SecurityGroupIds": ["sg-functions"]}
        else:
            group = {"Fn::GetAtt": ["SecurityGroup", "GroupId"]}
            expected = {"SubnetIds": [{"Ref": "SubnetA"}, {"Ref": "SubnetB"}], "SecurityGroupIds": [group]}
        assert all(function.get("VpcConfig") == expected for function in found.values())

    @pytest.mark.parametrize(
        ("parameters", "group", "source"),
        [
            (OWN, {"Fn::GetAtt": ["SecurityGroup", "GroupId"]}, {"Fn::GetAtt": ["SecurityGroup", "GroupId"]}),
            (OWN_CACHE_IN_GIVEN_SUBNETS, "sg-functions", "sg-functions"),
            (GIVEN_CACHE_IN_VPC, "sg-cache", "sg-functions"),
        ],
        ids=["own", "given-subnets", "given-cache"],
    )
    def test_lets_the_functions_reach_the_cache(self, parameters, group, source):
        rule = translate(**parameters)["CacheIngress"]["Properties"]
        assert (rule["GroupId"], rule["SourceSecurityGroupId"]) == (group, source)

    def test_changes_nothing_of_a_given_cache_without_its_security_group(self):
        assert "CacheIngress" not in translate(**GIVEN_CACHE)


class TestLogs:
    @pytest.mark.parametrize("days", ["1", "365"])
    def test_are_retained_for_the_days_of_the_parameter(self, days):
        groups = of_type(translate(LogRetentionDays=days), "AWS::Logs::LogGroup")
        assert groups.keys() == {"FunctionLogs", "AccessLogs"}
        assert {group["RetentionInDays"] for group in groups.values()} == {days}

    def test_of_functions_are_json_in_the_one_group(self, resources):
        for function in functions(resources).values():
            assert function["LoggingConfig"]["LogFormat"] == "JSON"
            assert function["LoggingConfig"]["LogGroup"] == {"Ref": "FunctionLogs"}
            assert function["LoggingConfig"]["ApplicationLogLevel"] == "INFO"

    def test_of_access_have_the_route_and_never_the_path(self, resources):
        settings = resources["ApiApiGatewayDefaultStage"]["Properties"]["AccessLogSettings"]
        line = json.loads(settings["Format"])
        assert line["routeKey"] == "$context.routeKey"
        logged = set(re.findall(r"\$context\.([\w.]+)", settings["Format"]))
        assert logged == {
            "requestId",
            "requestTime",
            "identity.sourceIp",
            "routeKey",
            "status",
            "error.message",
            "authorizer.error",
            "integration.integrationStatus",
            "authorizer.name",
            "identity.userArn",
            "responseLatency",
            "integrationLatency",
            "responseLength",
        }

    @pytest.mark.parametrize("value", ["-", "Service Unavailable", "429"])
    def test_of_access_are_json_with_and_without_an_error(self, resources, value):
        settings = resources["ApiApiGatewayDefaultStage"]["Properties"]["AccessLogSettings"]
        line = json.loads(re.sub(r"\$context\.[\w.]+", value, settings["Format"]))
        assert {line["errorMessage"], line["authorizerError"], line["lambdaStatus"]} == {value}


class TestVersions:
    def test_have_for_each_function_an_alias_and_a_deployment_group_with_alarms(self, resources):
        assert {alias["FunctionName"]["Ref"] for alias in of_type(resources, "AWS::Lambda::Alias").values()} == set(
            functions(resources)
        )
        for name in functions(resources):
            group = resources[f"{name}DeploymentGroup"]["Properties"]
            assert group["AutoRollbackConfiguration"]["Enabled"] is True
            alarms = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
            assert alarms == {"FunctionErrorsAlarm", "InternalErrorsAlarm", "StoreUnavailableAlarm", "AuthorizerAlarm"}
            assert "CodeDeployLambdaAliasUpdate" in resources[f"{name}Aliaslive"]["UpdatePolicy"]

    @pytest.mark.parametrize("type", ["Canary10Percent5Minutes", "Canary10Percent15Minutes"])
    def test_are_deployed_as_the_parameter_says(self, type):
        group = translate(DeploymentType=type)["GetSessionDeploymentGroup"]["Properties"]
        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": type}

    def test_that_are_deployed_all_at_once_use_no_codedeploy(self):
        resources = translate(DeploymentType="AllAtOnce", Console="true")
        assert [name for name, resource in resources.items() if "CodeDeploy" in str(resource)] == []
        assert of_type(resources, "AWS::Lambda::Alias").keys() == {f"{name}Aliaslive" for name in FUNCTIONS}

    def test_are_deployed_by_codedeploy_unless_all_at_once(self):
        template = read()
        ways = template["Mappings"]["CodeDeploy"]
        assert ways.keys() == set(template["Parameters"]["DeploymentType"]["AllowedValues"])
        assert {way for way, values in ways.items() if values["Enabled"] == "false"} == {"AllAtOnce"}

    def test_are_deleted_when_a_new_one_is_deployed(self, resources):
        versions = {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Version"}
        assert {resources[name].get("DeletionPolicy") for name in versions} == {"Delete"}

    @staticmethod
    def versions(template=None, **parameters):
        return of_type(translate(template, **parameters), "AWS::Lambda::Version").keys()

    def test_are_the_same_when_nothing_changed(self):
        assert self.versions() == self.versions()

    def test_are_all_new_when_only_the_layer_changed(self):
        changed = read()
        changed["Resources"]["SessionsLayer"]["Properties"]["ContentUri"] = "another"
        assert not self.versions(changed) & self.versions()

    def test_are_all_new_with_a_new_revision(self):
        assert not self.versions(Revision="1111111111") & self.versions(Revision="2222222222")

    def test_of_one_function_are_new_when_its_code_changed(self):
        changed = read()
        changed["Resources"]["GetSession"]["Properties"]["CodeUri"] = "another"
        [old] = self.versions() - self.versions(changed)
        assert old.startswith("GetSessionVersion")

    @pytest.mark.parametrize("part", revision.PARTS)
    def test_have_a_new_revision_when_a_part_changed(self, tmp_path, monkeypatch, part):
        for folder in (".aws-sam/build", "functions/ping"):
            (tmp_path / folder).mkdir(parents=True)
        files = {".aws-sam/build": ".aws-sam/build/template.yaml", "functions": "functions/ping/app.py"}
        for name in revision.PARTS:
            (tmp_path / files.get(name, name)).write_text("a", encoding="utf-8")
        monkeypatch.setattr(revision, "ROOT", tmp_path)
        before = revision.revision()
        assert revision.revision() == before
        (tmp_path / files.get(part, part)).write_text("b", encoding="utf-8")
        assert revision.revision() != before


class TestStarts:
    def test_use_snapshots_only_for_get_and_set(self):
        found = functions(translate(SnapStart="true"))
        assert {name for name, function in found.items() if "SnapStart" in function} == {"GetSession", "SetSession"}
        assert found["GetSession"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}

    def test_are_provisioned_only_for_get_and_set(self):
        aliases = of_type(translate(ProvisionedConcurrency="3"), "AWS::Lambda::Alias")
        assert {
            name: alias["ProvisionedConcurrencyConfig"]
            for name, alias in aliases.items()
            if "ProvisionedConcurrencyConfig" in alias
        } == {f"{name}Aliaslive": {"ProvisionedConcurrentExecutions": "3"} for name in ("GetSession", "SetSession")}

    def test_are_plain_by_default(self):
        assert "ProvisionedConcurrencyConfig" not in str(translate())
        assert "PublishedVersions" not in str(translate())

    def test_may_be_limited_in_concurrency(self):
        found = functions(translate(ReservedConcurrency="4", Console="true"))
        limits = {name: function.get("ReservedConcurrentExecutions") for name, function in found.items()}
        assert limits == dict.fromkeys(FUNCTIONS, "4")


class TestRules:
    @pytest.mark.parametrize(
        ("parameters", "broken"),
        [
            (OWN, None),
            ({"SnapStart": "true"}, None),
            ({"SnapStart": "true", "ProvisionedConcurrency": "1"}, "SnapStartOrProvisionedConcurrency"),
            (OWN_CACHE_IN_GIVEN_SUBNETS, None),
            ({"SubnetIds": "subnet-a"}, "SubnetsWithSecurityGroup"),
            ({"SecurityGroupId": "sg-a"}, "SubnetsWithSecurityGroup"),
            (GIVEN_CACHE_IN_VPC, None),
            ({"RedisSecurityGroupId": "sg-a"}, "RuleForSecurityGroupOfRedis"),
            (GIVEN_CACHE_BY_IAM, None),
            ({"RedisPasswordSecret": "arn:secret"}, "UserOfRedis"),
            ({"RedisUser": "app"}, "UserOfRedis"),
            ({**GIVEN_CACHE_BY_IAM, "RedisUser": ""}, "IamUserOfRedis"),
            ({**GIVEN_CACHE_BY_IAM, "RedisTls": "false"}, "IamUserOfRedis"),
            ({**GIVEN_CACHE_BY_IAM, "RedisPasswordSecret": "arn:secret"}, "IamUserOfRedis"),
            ({"Console": "true"}, None),
            ({"AuthMode": "iam"}, None),
            ({"AuthMode": "iam", "Console": "true"}, "ConsoleByKey"),
        ],
        ids=str,
    )
    def test_refuse_parameters_that_cannot_work(self, parameters, broken):
        template = read()
        values = {name: str(p.get("Default", "")) for name, p in template["Parameters"].items()} | parameters
        resolved = Resolved(template, values)
        found = {
            name
            for name, rule in template["Rules"].items()
            if "RuleCondition" not in rule or resolved._condition(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not resolved._condition(assertion["Assert"])
        }
        assert found == ({broken} if broken else set())


def error_line(error_type, **fields):
    """The line that Lambda's Python runtime logs for an error that ends a call or an environment's start."""
    return {"level": "ERROR", "errorMessage": "", "errorType": error_type, "requestId": "", "stackTrace": [], **fields}


def report_line(**record):
    """The line that Lambda logs at the end of a call."""
    return {"type": "platform.report", "record": {"requestId": "", "metrics": {"durationMs": 15000.0}, **record}}


FAILED_CALLS = {
    "exception": error_line("KeyError"),
    "answer-that-is-no-json": error_line("Runtime.MarshalError"),
    "import-error": error_line("Runtime.ImportModuleError"),
    "timeout": report_line(status="timeout"),
    "out-of-memory": report_line(status="error", errorType="Runtime.OutOfMemory"),
    "exit": report_line(status="error", errorType="Runtime.ExitError"),
    "failure-of-lambda": report_line(status="failure", errorType="Sandbox.Failure"),
}
OTHER_LINES = {
    "success": report_line(status="success"),
    "sweep-without-redis": error_line(StoreUnavailable.__name__),
    "exception-that-a-library-logs": error_line("OSError", logger="redis", message="Connection lost"),
    "error-that-was-answered": {"level": "ERROR", "message": "Internal error", "error": "KeyError", "service": "stack"},
    "warning-of-the-runtime": {"level": "WARNING", "message": "Unhandled exception", "logger": "root"},
    "metric": {"_aws": {"Timestamp": 1, "CloudWatchMetrics": []}, "service": "stack", "InternalError": 1},
    "start": {"type": "platform.start", "record": {"requestId": ""}},
}


def matches(pattern, line):
    """Whether a metric filter counts a log line: the part of CloudWatch's syntax that the template uses.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """

    def holds(condition):
        selector, operator, operand = re.fullmatch(r"\$\.([\w.]+) (=|!=|NOT EXISTS) ?(.*)", condition).groups()
        value = line
        for name in selector.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if operator == "NOT EXISTS":
            return value is None
        return value is not None and (operand == "*" or value == json.loads(operand)) == (operator == "=")

    alternatives = re.fullmatch(r"\{ \(?(.+?)\)? \}", pattern)[1].split(") || (")
    return any(all(map(holds, alternative.split(" && "))) for alternative in alternatives)


class TestAlarms:
    def test_go_to_the_topic_if_there_is_one(self):
        for parameters, topics in (({"AlarmTopicArn": TOPIC_ARN}, [TOPIC_ARN]), ({}, None)):
            for alarm in of_type(translate(**parameters), "AWS::CloudWatch::Alarm").values():
                assert alarm.get("AlarmActions") == alarm.get("OKActions") == topics

    def test_of_the_cache_exist_only_for_an_own_cache(self, resources, parameters):
        of_the_cache = {"EvictionsAlarm", "CacheDataAlarm", "CacheEcpuAlarm", "CacheThrottlesAlarm"} & resources.keys()
        assert len(of_the_cache) == (0 if "RedisEndpoint" in parameters else 4)

    def test_are_all_explained(self):
        text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
        for name in of_type(translate(), "AWS::CloudWatch::Alarm"):
            assert f"`{name}`" in text, name

    def test_of_functions_errors_use_a_metric_of_the_stack(self, resources):
        [transformation] = resources["FunctionErrors"]["Properties"]["MetricTransformations"]
        assert transformation == {
            "MetricNamespace": "RestSessions",
            "MetricName": {"Fn::Sub": "FunctionErrors-${AWS::StackName}"},
            "MetricValue": "1",
        }
        alarm = resources["FunctionErrorsAlarm"]["Properties"]
        assert alarm["Namespace"] == transformation["MetricNamespace"]
        assert alarm["MetricName"] == transformation["MetricName"]
        # The metric of a metric filter has no dimensions.
        assert not alarm.keys() & {"Dimensions", "Metrics"}
        assert (alarm["Statistic"], alarm["Period"], alarm["EvaluationPeriods"]) == ("Sum", 60, 1)
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
        assert alarm["TreatMissingData"] == "notBreaching"

    @pytest.mark.parametrize("further_routes", [0, 30])
    def test_of_functions_errors_watch_every_function(self, further_routes):
        template = read()
        for number in range(further_routes):
            route = template["Resources"][f"Route{number}"] = copy.deepcopy(template["Resources"]["Ping"])
            route["Properties"]["Events"]["Route"]["Properties"]["Path"] = f"/route{number}"
        resources = translate(template, Console="true")
        found = functions(resources)
        assert found.keys() == FUNCTIONS | {f"Route{number}" for number in range(further_routes)}
        log_group = resources["FunctionErrors"]["Properties"]["LogGroupName"]
        for function in found.values():
            # With these levels and this format, Lambda reports every failed call, and no other.
            assert function["LoggingConfig"] == {
                "LogGroup": log_group,
                "LogFormat": "JSON",
                "ApplicationLogLevel": "INFO",
                "SystemLogLevel": "WARN",
            }
        assert resources["FunctionErrorsAlarm"] == translate()["FunctionErrorsAlarm"]

    @pytest.mark.parametrize("line", FAILED_CALLS.values(), ids=FAILED_CALLS)
    def test_of_functions_errors_count_a_failed_call(self, resources, line):
        assert matches(resources["FunctionErrors"]["Properties"]["FilterPattern"], line)

    @pytest.mark.parametrize("line", OTHER_LINES.values(), ids=OTHER_LINES)
    def test_of_functions_errors_count_nothing_else(self, resources, line):
        assert not matches(resources["FunctionErrors"]["Properties"]["FilterPattern"], line)

    @pytest.mark.parametrize(("status", "counts"), [("429", True), ("200", False), ("-", False)])
    def test_of_throttles_count_each_request_that_lambda_throttled(self, resources, status, counts):
        throttles = resources["FunctionThrottles"]["Properties"]
        assert throttles["LogGroupName"] == {"Ref": "AccessLogs"}
        assert matches(throttles["FilterPattern"], {"lambdaStatus": status, "status": "503"}) == counts
        [transformation] = throttles["MetricTransformations"]
        alarm = resources["FunctionThrottlesAlarm"]["Properties"]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("RestSessions", transformation["MetricName"])
        assert not alarm.keys() & {"Dimensions", "Metrics"}
        assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
            "Sum",
            "GreaterThanThreshold",
            0,
        )

    def test_watch_what_loses_requests_before_a_function_runs(self):
        resources = translate()
        watched = {
            (metric["MetricStat"]["Metric"]["MetricName"], str(metric["MetricStat"]["Metric"]["Dimensions"]))
            for name in ("AuthorizerAlarm", "CacheThrottlesAlarm")
            for metric in resources[name]["Properties"]["Metrics"]
            if "MetricStat" in metric
        }
        authorizer = str([{"Name": "FunctionName", "Value": {"Ref": "Authorize"}}])
        cache = str([{"Name": "clusterId", "Value": {"Ref": "Cache"}}])
        assert watched >= {
            ("Throttles", authorizer),
            ("ThrottledCmds", cache),
            ("IamAuthenticationThrottling", cache),
        }

    def test_take_at_most_ten_metrics_and_no_search(self, resources):
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
            assert len(alarm.get("Metrics", [])) <= 10, name
            assert "SEARCH" not in str(alarm), name


def dashboard(resources):
    """The text of the dashboard, with the parts that the template inserts."""
    body, parts = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, part in parts.items():
        body = body.replace(f"${{{name}}}", part["Fn::Sub"] if isinstance(part, dict) else part)
    return body


class TestDashboard:
    def test_is_json_about_existing_resources(self, resources, parameters):
        text = dashboard(resources)
        assert len(json.loads(text)["widgets"]) == (7 if "RedisEndpoint" in parameters else 10)
        assert set(re.findall(r"\$\{(\w+)}", text)) <= resources.keys()

    def test_shows_what_is_throttled_and_refused(self):
        resources = translate()
        metrics = [m for w in json.loads(dashboard(resources))["widgets"] for m in w["properties"]["metrics"]]
        of_the_cache = {metric[1] for metric in metrics if metric[0] == "AWS/ElastiCache"}
        assert of_the_cache >= {
            "AuthenticationFailures",
            "IamAuthenticationThrottling",
            "NewConnections",
            "ThrottledCmds",
        }
        assert all(metric[2:4] == ["clusterId", "${Cache}"] for metric in metrics if metric[0] == "AWS/ElastiCache")
        [throttles] = [m[0]["expression"] for m in metrics if "Throttles" in str(m)]
        assert throttles == (
            "SEARCH('{AWS/Lambda,FunctionName} MetricName=\"Throttles\" FunctionName=${AWS::StackName}', 'Sum', 60)"
        )

    def test_places_no_widget_over_another(self, resources):
        cells = [
            (x, y)
            for widget in json.loads(dashboard(resources))["widgets"]
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24

    def test_finds_the_routes_by_the_names_of_functions(self, resources):
        [widget] = [w["properties"] for w in json.loads(dashboard(resources))["widgets"] if "route" in str(w)]
        [[metric]] = widget["metrics"]
        # No function sets its name, so CloudFormation names it STACK-FUNCTION-SUFFIX.
        assert not any("FunctionName" in function for function in functions(resources).values())
        assert metric["expression"] == (
            'SEARCH(\'{AWS/Lambda,FunctionName} MetricName="Duration" FunctionName=${AWS::StackName}'
            " NOT FunctionName=Authorize NOT FunctionName=SweepExpired', 'p99', 60)"
        )


# What the cache cannot be without, beside what holds data.
KEPT = {
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::Subnet",
    "AWS::EC2::VPC",
    "AWS::ElastiCache::ServerlessCache",
    "AWS::ElastiCache::User",
    "AWS::ElastiCache::UserGroup",
    "AWS::Logs::LogGroup",
    "AWS::SecretsManager::Secret",
}


def deployed_with(environment):
    """The parameters of an environment in samconfig.toml."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    overrides = config[environment]["deploy"]["parameters"]["parameter_overrides"]
    return dict(override.split("=", 1) for override in overrides if not override.startswith("file://"))


class TestKeepData:
    @pytest.mark.parametrize(("environment", "policy"), [("dev", "Delete"), ("staging", "Delete"), ("prod", "Retain")])
    def test_keeps_data_in_prod_alone(self, environment, policy):
        resources = translate(**deployed_with(environment))
        kept = {name: resource for name, resource in resources.items() if resource["Type"] in KEPT}
        assert {resource["Type"] for resource in kept.values()} == KEPT
        for name, resource in kept.items():
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == policy, name
        others = {resource.get("DeletionPolicy", "Delete") for resource in resources.values()}
        assert others == {"Delete", policy}

    def test_keeps_all_that_the_kept_cache_refers_to(self):
        resources = translate(KeepData="true")
        waiting, kept = {"Cache"}, set()
        while waiting:
            name = waiting.pop()
            kept.add(name)
            waiting |= (set(references(resources[name])) & resources.keys()) - kept
        assert {resources[name]["DeletionPolicy"] for name in kept} == {"Retain"}
        assert kept >= {"Cache", "CacheUser", "CacheUserGroup", "SubnetA", "SubnetB", "SecurityGroup", "Vpc"}

    @pytest.mark.parametrize("keep", ["true", "false"])
    def test_is_resolved_by_the_language_extensions_even_where_a_condition_is_false(self, parameters, keep):
        template = read()
        values = {name: str(p.get("Default", "")) for name, p in template["Parameters"].items()}
        processed = process_template(template, {**values, **parameters, "KeepData": keep})["Resources"]
        policies = {
            resource.get(policy)
            for resource in processed.values()
            for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        }
        # The language extensions do not know RetainExceptOnCreate.
        assert policies == {None, "Retain" if keep == "true" else "Delete"}


def references(value):
    """The names that a value refers to, in any of CloudFormation's ways."""
    if isinstance(value, dict):
        for function, operand in value.items():
            if function == "Ref":
                yield operand
            elif function == "Fn::GetAtt":
                yield operand[0]
            elif function == "Fn::Sub":
                yield from re.findall(r"\$\{(\w+)", operand if isinstance(operand, str) else operand[0])
            elif function == "DependsOn":
                yield from [operand] if isinstance(operand, str) else operand
            yield from references(operand)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_resources_have_no_circular_reference(resources):
    graph = {name: set(references(resource)) & resources.keys() for name, resource in resources.items()}
    list(TopologicalSorter(graph).static_order())


def test_no_resource_has_a_fixed_name(resources):
    # Fixed names are fine for aliases and policies, which belong to a resource of the stack.
    for resource in resources.values():
        for name in ("Name", "FunctionName", "RoleName", "LogGroupName", "DashboardName", "AlarmName", "UserId"):
            if resource["Type"] != "AWS::Lambda::Alias":
                assert not isinstance(resource["Properties"].get(name), str), resource


def test_a_kms_key_encrypts_everything_that_is_stored():
    resources = translate(KmsKeyArn=KEY_ARN, Console="true")
    keys = {name: resource["Properties"].get("KmsKeyId") for name, resource in resources.items()}
    with_key = {name for name, key in keys.items() if key == KEY_ARN}
    assert with_key == {"FirstKey", "ApiKeys", "Cache", "FunctionLogs", "AccessLogs"}
    assert all(function["KmsKeyArn"] == KEY_ARN for function in functions(resources).values())
    for role in ROLES:
        assert any(s["Resource"] == KEY_ARN for s in statements(resources[role]["Properties"]))


class TestParameters:
    def test_are_grouped_and_described(self):
        template = read()
        groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        assert sorted(name for group in groups for name in group["Parameters"]) == sorted(template["Parameters"])
        assert all(parameter["Description"] for parameter in template["Parameters"].values())

    def test_have_defaults(self):
        assert all("Default" in parameter for parameter in read()["Parameters"].values())

    def test_of_samconfig_exist_in_the_template(self):
        known = read()["Parameters"]
        config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
        for environment in set(config) - {"version"}:
            for command in config[environment].values():
                for override in command["parameters"].get("parameter_overrides", []):
                    if not override.startswith("file://"):
                        name, _, value = override.partition("=")
                        assert value in known[name].get("AllowedValues", [value]) or int(value)

    def test_of_each_deployed_environment_are_complete(self):
        config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
        stacks = set()
        for environment in ("dev", "staging", "prod"):
            deploy = config[environment]["deploy"]["parameters"]
            assert deploy["capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
            assert deploy["resolve_s3"] is True
            assert deploy["confirm_changeset"] is deploy["fail_on_empty_changeset"] is False
            path = revision.REVISION.relative_to(ROOT)
            assert f"file://{path}" in deploy["parameter_overrides"]
            stacks.add(deploy["stack_name"])
        assert len(stacks) == 3


# Parts of resource types that the template does not use. With KmsKeyArn the key's own policy admits the role.
UNUSED = [
    "codedeploy:RegisterOnPremisesInstance",
    "ec2:*SubnetCidrBlock",
    "ec2:*VpcEncryptionControl",
    "ec2:ModifyVpcTenancy",
    "elasticfilesystem:*",
    "firehose:*",
    "iam:*RolePermissionsBoundary",
    "kms:*",
    "lambda:AssociateRuntimeAlias",
    "lambda:PassCapacityProvider",
    "logs:PutBearerTokenAuthentication",
    "logs:PutDataProtectionPolicy",
    "logs:PutIndexPolicy",
    "logs:PutLogGroupDeletionProtection",
    "s3:REST.*",
    "s3files:*",
    "secretsmanager:*Replicat*",
]


def allows(patterns, action):
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


@pytest.fixture(scope="module")
def policy():
    return json.loads((ROOT / "docs" / "deploy-policy.json").read_text(encoding="utf-8"))


class TestDeployPolicy:
    def test_allows_what_cloudformation_does_with_each_resource_type(self, resources, policy):
        allowed = set().union(*map(actions, policy["Statement"]))
        for type in {resource["Type"] for resource in resources.values()}:
            handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", type).schema["handlers"]
            for handler in ("create", "read", "update", "delete"):
                for action in handlers.get(handler, {}).get("permissions", []):
                    assert allows(allowed, action) or allows(UNUSED, action), (type, action)

    def test_is_small_enough_for_a_managed_policy(self, policy):
        assert len("".join(json.dumps(policy).split())) <= 6144

    def test_allows_no_whole_service_and_is_bound_to_the_stacks(self, policy):
        for statement in policy["Statement"]:
            assert not any(action.endswith((":*", "*:*")) or action == "*" for action in actions(statement))
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            if "*" in resources:
                assert statement["Sid"] in {"Network", "WithoutResource"}

    def test_knows_the_names_that_the_stack_gives(self, policy):
        text = json.dumps(policy)
        template = translate()
        for type, service in (("AWS::SecretsManager::Secret", "secret"), ("AWS::Lambda::LayerVersion", "layer")):
            for name in of_type(template, type):
                assert f":{service}:{re.sub('[0-9a-f]{10}$', '', name)}" in text
        for group in of_type(template, "AWS::Logs::LogGroup").values():
            assert f"log-group:{group['LogGroupName']['Fn::Sub'].removesuffix('${AWS::StackName}')}*" in text
        for stack in ("rest-sessions-dev", "rest-sessions-staging", "rest-sessions-prod"):
            assert stack in (ROOT / "samconfig.toml").read_text(encoding="utf-8")
            assert fnmatchcase(
                f"arn:aws:cloudformation:r:ACCOUNT:stack/{stack}/1", policy["Statement"][0]["Resource"][0]
            )


@pytest.fixture(scope="module")
def steps():
    """What the workflow does to deploy to prod, after its approval."""
    workflow = yaml_parse((ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8"))
    return workflow["jobs"]["prod"]["steps"]


class TestDeployWorkflow:
    @staticmethod
    def index(steps, text):
        [index] = [index for index, step in enumerate(steps) if text in step.get("run", "")]
        return index

    def test_protects_prod_from_deletion(self, steps):
        protection = self.index(steps, "update-termination-protection")
        assert "--enable-termination-protection --stack-name rest-sessions-prod" in steps[protection]["run"]
        assert protection > self.index(steps, "make deploy ENV=prod")

    @pytest.mark.parametrize("newer", [False, True])
    def test_deploys_to_prod_only_the_head_of_main(self, steps, tmp_path, newer):
        check = self.index(steps, "commits/main")
        assert check < self.index(steps, "make deploy ENV=prod")
        assert "if" not in steps[check]
        assert "continue-on-error" not in steps[check]
        for name, answer in (("gh", "new" if newer else "tested"), ("git", "tested")):
            command = tmp_path / name
            command.write_text(f"#!/bin/sh\necho {answer}\n", encoding="utf-8")
            command.chmod(0o755)
        done = subprocess.run(
            ["bash", "-e", "-c", steps[check]["run"]],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_REPOSITORY": "owner/repository"},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        assert done.returncode == (1 if newer else 0), done.stderr
        assert ("::error::" in done.stdout) == newer


def test_compose_starts_the_same_as_make_local():

    compose = yaml_parse((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"][containers.VALKEY_HOST]["image"] == containers.VALKEY_IMAGE
    network = compose["networks"]["default"]["name"]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))["default"]
    for command in ("local_start_api", "local_invoke"):
        assert config[command]["parameters"]["docker_network"] == network
        endpoint = f"RedisEndpoint={containers.VALKEY_HOST}:6379"
        assert endpoint in config[command]["parameters"]["parameter_overrides"]


def test_the_template_has_no_long_lines():
    lines = (ROOT / "template.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120] == []


def test_a_route_is_one_block_of_the_template():
    """A new route needs no line elsewhere: no alarm, no dashboard and no list names a route's function."""
    words = re.findall(r"\w+", (ROOT / "template.yaml").read_text(encoding="utf-8"))
    assert {name: words.count(name) for name in ROUTES} == dict.fromkeys(ROUTES, 1)
