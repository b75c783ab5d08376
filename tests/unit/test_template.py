"""What a deployment gets: the template after AWS's transforms, in each mode of access."""

from pathlib import Path

import pytest
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

from rest_sessions.access import Caller, KeyRegistry

ROOT = Path(__file__).parents[2]
CODE = {"CodeUri", "ContentUri"}
MODES = {"token": "KeyAuthorizer", "iam": "AWS_IAM"}
SECRET = {"Ref": "ApiKeys"}


class NoManagedPolicies:
    def load(self):
        return {}


def read():
    return yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))


def translate(**parameters):
    template = read()
    for resource in template["Resources"].values():
        # As `sam package` leaves it.
        for part in CODE & resource.get("Properties", {}).keys():
            resource["Properties"][part] = "s3://bucket/key"
    parameters = {"RedisUrl": "rediss://cache.example:6379", "AWS::Region": "us-east-1", **parameters}
    expanded = expand_language_extensions(template, parameter_values=parameters, enabled=True)
    return transform(expanded.expanded_template, parameters, NoManagedPolicies())


@pytest.fixture(scope="module", params=MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="module", autouse=True)
def region():
    """The transform asks botocore for it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield


@pytest.fixture(scope="module")
def translated(mode):
    return translate(AuthMode=mode)


def operations(translated):
    """Each route's method, path and operation in the API's OpenAPI document."""
    for path, methods in translated["Resources"]["Api"]["Properties"]["Body"]["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def of_type(translated, type):
    return {name: resource for name, resource in translated["Resources"].items() if resource["Type"] == type}


def statements(role):
    for policy in role["Properties"].get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


class TestAuthorizer:
    def test_is_on_every_route_but_ping(self, translated, mode):
        security = {route: operation["security"] for route, operation in operations(translated)}
        assert len(security) == 10
        assert security.pop("GET /ping") == [{"NONE": []}]
        assert set(map(str, security.values())) == {str([{MODES[mode]: []}])}

    def test_is_asked_by_the_key_and_answers_simply(self, translated):
        scheme = translated["Resources"]["Api"]["Properties"]["Body"]["components"]["securitySchemes"]["KeyAuthorizer"]
        authorizer = scheme["x-amazon-apigateway-authorizer"]
        assert authorizer["type"] == "request"
        assert authorizer["authorizerPayloadFormatVersion"] == "2.0"
        assert authorizer["enableSimpleResponses"] is True
        assert authorizer["identitySource"] == ["$request.header.Authorization"]
        assert "Authorize" in str(authorizer["authorizerUri"])

    @pytest.mark.parametrize("seconds", [0, 300, 3600])
    def test_is_kept_for_the_seconds_of_the_parameter(self, seconds):
        body = translate(AuthorizerCacheSeconds=seconds)["Resources"]["Api"]["Properties"]["Body"]
        scheme = body["components"]["securitySchemes"]["KeyAuthorizer"]
        assert scheme["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"] == seconds

    def test_may_be_called_by_the_api(self, translated):
        functions = [
            permission["Properties"]["FunctionName"]
            for permission in of_type(translated, "AWS::Lambda::Permission").values()
            if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
        ]
        assert {"Fn::GetAtt": ["Authorize", "Arn"]} in functions

    def test_by_iam_is_sigv4(self, translated):
        scheme = translated["Resources"]["Api"]["Properties"]["Body"]["components"]["securitySchemes"]["AWS_IAM"]
        assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


class TestMode:
    def test_reaches_every_function(self, translated, mode):
        for name, function in of_type(translated, "AWS::Lambda::Function").items():
            assert function["Properties"]["Environment"]["Variables"]["AUTH_MODE"] in (mode, {"Ref": "AuthMode"}), name

    def test_cannot_be_none(self):
        parameter = read()["Parameters"]["AuthMode"]
        assert parameter["AllowedValues"] == ["token", "iam"]
        assert parameter["Default"] == "token"


class TestSecret:
    def test_is_read_by_the_authorizer_alone(self, translated):
        readers = {
            name: statement["Resource"]
            for name, role in of_type(translated, "AWS::IAM::Role").items()
            for statement in statements(role)
            if any(action.startswith("secretsmanager:") for action in statement["Action"])
        }
        assert readers == {"AuthorizeRole": {"Fn::Sub": ["${secretArn}", {"secretArn": SECRET}]}}

    def test_is_named_to_the_authorizer_alone(self, translated):
        named = {
            name: function["Properties"]["Environment"]["Variables"]["API_KEYS_SECRET"]
            for name, function in of_type(translated, "AWS::Lambda::Function").items()
            if "API_KEYS_SECRET" in function["Properties"]["Environment"]["Variables"]
        }
        assert named == {"Authorize": SECRET}

    def test_begins_with_a_generated_key_for_everything(self):
        resources = read()["Resources"]
        generated = resources["FirstKey"]["Properties"]["GenerateSecretString"]
        text = resources["ApiKeys"]["Properties"]["SecretString"]["Fn::Sub"]
        key = "k" * generated["PasswordLength"]
        assert generated["ExcludePunctuation"] is True
        registry = KeyRegistry.parse(text.replace("{{resolve:secretsmanager:${FirstKey}}}", key))
        assert registry.find(key) == Caller("first", frozenset("*"), frozenset("*"))

    def test_of_the_store_is_not_shown(self):
        assert read()["Parameters"]["RedisUrl"]["NoEcho"] is True


def test_no_role_may_do_everything_or_touch_everything(translated):
    for name, role in of_type(translated, "AWS::IAM::Role").items():
        for statement in statements(role):
            assert "*" not in str(statement["Action"]), name
            assert statement["Resource"] != "*", name
