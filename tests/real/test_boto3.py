"""Real boto3 against the emulator: what the SDK parses is what MWAA's model says."""

import base64
import json
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from programs import Emulator

TOKENS = ["create_cli_token", "create_web_login_token"]


def client(emulator, **more):
    settings = {
        "endpoint_url": emulator.endpoint,
        "region_name": emulator.region,
        "aws_access_key_id": emulator.key,
        "aws_secret_access_key": emulator.secret,
        **more,
    }
    # one attempt: these tests are about what is answered, not about how often botocore asks
    config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
    settings["config"] = config.merge(settings.pop("config", Config()))
    return boto3.session.Session().client("mwaa", **settings)


@pytest.fixture(scope="module")
def mwaa(emulator):
    return client(emulator)


@pytest.fixture(scope="module")
def name(emulator):
    return next(iter(emulator.names.values()))


def jwt(token):
    """Header and claims of a JWT (RFC 7519), not verified: that is the web server's part."""
    header, claims, signature = token.split(".")
    pad = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    assert len(pad(signature)) >= 256, "RS256 signatures have the length of the key"
    return json.loads(pad(header)), json.loads(pad(claims))


def check_token(token, audience):
    header, claims = jwt(token)
    assert header["alg"] == "RS256"
    assert claims["aud"] == audience
    assert 0 < claims["exp"] - time.time() <= 60


def test_create_cli_token(mwaa, name):
    answer = mwaa.create_cli_token(Name=name)
    check_token(answer["CliToken"], "cli")
    assert answer["WebServerHostname"] and "://" not in answer["WebServerHostname"]


def test_create_web_login_token(mwaa, name):
    answer = mwaa.create_web_login_token(Name=name)
    check_token(answer["WebToken"], "web")
    assert answer["WebServerHostname"] == mwaa.create_cli_token(Name=name)["WebServerHostname"]
    assert answer["IamIdentity"]
    assert 1 <= len(answer["AirflowIdentity"]) <= 64


def test_get_environment(mwaa, name, emulator):
    found = mwaa.get_environment(Name=name)["Environment"]
    assert found["Name"] == name
    assert found["Status"] == "AVAILABLE"
    assert found["AirflowVersion"].count(".") == 2
    assert f":airflow:{emulator.region}:" in found["Arn"]
    hostname = mwaa.create_cli_token(Name=name)["WebServerHostname"]
    assert found["WebserverUrl"].removeprefix("https://") == hostname


def test_list_environments(mwaa, emulator):
    everything = mwaa.list_environments()["Environments"]
    assert set(emulator.names.values()) <= set(everything)
    pages = list(
        mwaa.get_paginator("list_environments").paginate(PaginationConfig={"PageSize": 1})
    )
    assert [page["Environments"] for page in pages] == [[name] for name in everything]
    assert [bool(page.get("NextToken")) for page in pages] == [True] * (len(pages) - 1) + [False]


@pytest.mark.parametrize("operation", [*TOKENS, "get_environment"])
def test_an_unknown_name_is_not_found(mwaa, operation):
    with pytest.raises(mwaa.exceptions.ResourceNotFoundException) as caught:
        getattr(mwaa, operation)(Name="nosuch")
    assert status(caught) == 404
    assert "nosuch" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("operation", ["create_web_login_token", "get_environment"])
def test_a_malformed_name_is_invalid(mwaa, operation):
    # botocore checks lengths but not patterns, so this one is the server's to refuse
    with pytest.raises(mwaa.exceptions.ValidationException) as caught:
        getattr(mwaa, operation)(Name="1-starts-with-a-digit")
    assert status(caught) == 400
    assert caught.value.response["Error"]["Message"]


def test_a_malformed_name_is_a_generic_error_without_a_modelled_one(mwaa):
    with pytest.raises(ClientError) as caught:
        mwaa.create_cli_token(Name="a!b")
    assert (status(caught), code(caught)) == (400, "ValidationException")


def test_page_sizes_have_a_limit(mwaa):
    with pytest.raises(mwaa.exceptions.ValidationException):
        mwaa.list_environments(MaxResults=26)


@pytest.mark.parametrize(
    ("operation", "kind", "exception", "expected"),
    [
        ("CreateWebLoginToken", "AccessDenied", "AccessDeniedException", 403),
        ("CreateWebLoginToken", "InternalServer", "InternalServerException", 500),
        ("CreateWebLoginToken", "NotFound", "ResourceNotFoundException", 404),
        ("CreateWebLoginToken", "Validation", "ValidationException", 400),
        ("CreateCliToken", "NotFound", "ResourceNotFoundException", 404),
        ("GetEnvironment", "InternalServer", "InternalServerException", 500),
        ("ListEnvironments", "InternalServer", "InternalServerException", 500),
    ],
)
def test_modelled_errors_become_typed_exceptions(tmp_path, operation, kind, exception, expected):
    with Emulator(tmp_path, "--fault", f"{operation}={kind}") as emulator:
        mwaa = client(emulator)
        with pytest.raises(getattr(mwaa.exceptions, exception)) as caught:
            call(mwaa, emulator, operation)
    assert status(caught) == expected
    assert caught.value.response["Error"]["Message"], "the text was not where the model has it"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("AccessDenied", (403, "AccessDeniedException")),
        ("ExpiredToken", (403, "ExpiredTokenException")),
        ("Throttling", (400, "ThrottlingException")),
        ("TooManyRequests", (429, "TooManyRequestsException")),
    ],
)
def test_common_errors_keep_their_code(tmp_path, kind, expected):
    with Emulator(tmp_path, "--fault", f"CreateCliToken={kind}") as emulator:
        with pytest.raises(ClientError) as caught:
            call(client(emulator), emulator, "CreateCliToken")
    assert (status(caught), code(caught)) == expected


def test_an_outage_is_a_503(tmp_path):
    with Emulator(tmp_path, "--fault", "CreateCliToken=Unavailable") as emulator:
        with pytest.raises(ClientError) as caught:
            call(client(emulator), emulator, "CreateCliToken")
    assert status(caught) == 503


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        ({"aws_secret_access_key": "wrong"}, {"InvalidSignatureException", "SignatureDoesNotMatch"}),
        ({"aws_access_key_id": "AKIDOESNOTEXIST00000"}, {"UnrecognizedClientException", "InvalidClientTokenId"}),
        ({"region_name": "ap-southeast-7"}, {"InvalidSignatureException", "SignatureDoesNotMatch"}),
        ({"config": Config(signature_version=UNSIGNED)}, {"MissingAuthenticationTokenException", "MissingAuthenticationToken"}),
    ],
    ids=["secret", "key", "region", "unsigned"],
)
@pytest.mark.parametrize("operation", ["CreateCliToken", "ListEnvironments"])
def test_a_bad_signature_is_refused(emulator, operation, wrong, codes):
    with pytest.raises(ClientError) as caught:
        call(client(emulator, **wrong), emulator, operation)
    assert status(caught) == 403
    assert code(caught) in codes


def call(mwaa, emulator, operation):
    if operation == "ListEnvironments":
        return mwaa.list_environments()
    name = next(iter(emulator.names.values()))
    methods = {
        "CreateCliToken": mwaa.create_cli_token,
        "CreateWebLoginToken": mwaa.create_web_login_token,
        "GetEnvironment": mwaa.get_environment,
    }
    return methods[operation](Name=name)


def status(caught):
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def code(caught):
    return caught.value.response["Error"]["Code"]
