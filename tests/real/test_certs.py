"""Programs of all kinds trust the CA that `mwaa-gateway certs` makes, in the ways that it prints, and
sslyze finds nothing wrong with the listener."""

import json
import re
import shutil
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from browser import FLAGS, playwright
from programs import BINARY, LAB, Gateway, curl, environment, eventually, toml

TLS = {"certificate": "certs/gateway.pem", "key": "certs/gateway.key"}


@pytest.fixture(scope="module")
def secured(emulator, tmp_path_factory):
    """A gateway with TLS and plain HTTP on one port, and what `certs` said of its certificate."""
    home = tmp_path_factory.mktemp("certs")
    config = {**emulator.config, "listener": {"tls": {**TLS, "optional": True}}}
    file = home / "mwaa-gateway.toml"
    file.write_text(toml(config))
    made = subprocess.run(
        [BINARY, "certs", "--config", file], env=environment(home), cwd=home, check=True,
        capture_output=True, encoding="utf-8",
    )
    ca = Path(made.stdout.splitlines()[0])
    with Gateway(home, config, **emulator.credentials()) as gateway:
        port = urlsplit(gateway.url).port
        yield SimpleNamespace(
            ca=ca, said=made.stderr, gateway=gateway, url=f"https://localhost:{port}", home=home
        )


def variable(secured, program):
    """The variable that the command prints for a program."""
    line = re.search(rf"^  {program} +export (\w+)=(.*)$", secured.said, re.M)
    return {line[1]: line[2]}


def run(secured, argv, **more):
    done = subprocess.run(
        [str(word) for word in argv], env=environment(secured.home, **more), encoding="utf-8",
        cwd=secured.home, capture_output=True, timeout=120, check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "demo.localhost", "api.localhost"])
def test_curl_trusts_each_name(secured, host):
    port = urlsplit(secured.url).port
    headers = ["Content-Type: text/plain", "Accept: text/plain"]
    trust = ["--cacert", str(secured.ca), "--resolve", f"{host}:{port}:127.0.0.1"]
    assert f"curl --cacert {secured.ca} https://localhost" in secured.said
    for scheme in ("https", "http"):
        url = f"{scheme}://{host}:{port}/aws_mwaa/cli"
        assert curl(url, headers, "version", trust).text() == "2.10.3\n"


def test_python_is_satisfied_in_its_strict_mode(secured):
    context = ssl.create_default_context(cafile=secured.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with urllib.request.urlopen(secured.url + "/-/", context=context) as reply:
        assert reply.status == 200


SAMPLE = """
import boto3, requests, sys
mwaa = boto3.client("mwaa", config=boto3.session.Config(inject_host_prefix=False))
token = mwaa.create_cli_token(Name=sys.argv[1])
reply = requests.post(
    "https://{0}/aws_mwaa/cli".format(token["WebServerHostname"]),
    headers={"Authorization": "Bearer " + token["CliToken"], "Content-Type": "text/plain"},
    data="version",
)
print(reply.status_code, reply.json()["stdout"])
"""


def test_boto3_and_requests_run_the_documented_sample(emulator, secured):
    more = {
        "AWS_ENDPOINT_URL_MWAA": secured.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        **variable(secured, "boto3, AWS CLI"),
        **variable(secured, "requests"),
    }
    code, out, err = run(secured, [sys.executable, "-c", SAMPLE, emulator.names["demo"]], **more)
    assert (code, out) == (0, "200 Mi4xMC4zCg==\n"), err


def test_node(secured):
    script = "fetch(process.argv[1]).then(r => console.log(r.status))"
    argv = ["node", "-e", script, secured.url + "/-/"]
    code, out, err = run(secured, argv, **variable(secured, "Node.js"))
    assert (code, out) == (0, "200\n"), err
    assert run(secured, argv)[0] != 0, "without the CA"


JAVA = """
import java.net.URI;
import java.net.http.*;
public class Trust {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        var reply = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(reply.statusCode());
    }
}
"""


def test_java(secured):
    source = secured.home / "Trust.java"
    source.write_text(JAVA)
    # a copy in place of the machine's own list
    homes = Path(shutil.which("java")).resolve().parent.parent
    store = secured.home / "cacerts"
    shutil.copy(homes / "lib/security/cacerts", store)
    line = re.search(r"^  Java +(keytool .*)$", secured.said, re.M)[1]
    line = line.replace("-cacerts", f"-keystore {store}")
    code, _, err = run(secured, ["sh", "-c", line])
    assert code == 0, err
    option = f"-Djavax.net.ssl.trustStore={store}"
    code, out, err = run(secured, ["java", option, source, secured.url + "/-/"])
    assert (code, out) == (0, "200\n"), err
    assert run(secured, ["java", source, secured.url + "/-/"])[0] != 0, "without the CA"


def test_chromium_shows_the_page_without_a_warning(secured, tmp_path):
    line = re.search(r"^  Chromium \(Linux\) +(certutil .*)$", secured.said, re.M)[1]
    store = tmp_path / ".pki/nssdb"
    store.mkdir(parents=True)
    create = f"certutil -d sql:{store} -N --empty-password && {line}"
    code, _, err = run(secured, ["sh", "-c", create], HOME=tmp_path)
    assert code == 0, err

    def visit(home):
        browser = playwright().chromium.launch(
            executable_path="/usr/bin/chromium", args=FLAGS, env=environment(home)
        )
        try:
            reply = browser.new_page().goto(secured.url + "/-/")
            return reply.status, reply.security_details()["protocol"]
        finally:
            browser.close()

    assert visit(tmp_path) == (200, "TLS 1.3")
    with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
        visit(secured.home)


def test_openssl_refuses_what_the_ca_signs_for_other_names(secured, tmp_path):
    """A stolen key of the CA is of no use elsewhere."""
    for name in ("DNS:example.com", "IP:10.0.0.1", "DNS:localhost"):
        request = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/O=x", "-addext", f"subjectAltName={name}",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", secured.ca, "-CAkey", secured.ca.with_name("gateway-ca.key"),
            "-keyout", tmp_path / "k", "-out", tmp_path / "c",
        ]
        code, _, err = run(secured, request)
        assert code == 0, err
        code, _, err = run(secured, ["openssl", "verify", "-CAfile", secured.ca, tmp_path / "c"])
        assert (code == 0) == (name == "DNS:localhost"), (name, err)
        assert code == 0 or "permitted subtree violation" in err


def test_sslyze_finds_nothing(secured, tmp_path):
    found = tmp_path / "sslyze.json"
    port = urlsplit(secured.url).port
    code, out, err = run(secured, [
        LAB / "sslyze/bin/python", "-m", "sslyze", "--mozilla_config=intermediate",
        f"--certinfo_ca_file={secured.ca}", f"--json_out={found}", f"localhost:{port}",
    ])
    assert code == 0 and "OK - Compliant" in out, out + err

    scans = json.loads(found.read_text())["server_scan_results"][0]["scan_result"]
    result = {name: scan["result"] for name, scan in scans.items() if scan["status"] == "COMPLETED"}
    old = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
    for version in old:
        assert result[f"{version}_cipher_suites"]["accepted_cipher_suites"] == [], version
    for version in ("tls_1_2", "tls_1_3"):
        accepted = result[f"{version}_cipher_suites"]["accepted_cipher_suites"]
        assert len(accepted) == 3, version
    assert not result["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not result["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert result["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    assert not result["tls_compression"]["supports_compression"]
    assert result["tls_fallback_scsv"]["supports_fallback_scsv"]
    renegotiation = result["session_renegotiation"]
    assert renegotiation["supports_secure_renegotiation"]
    assert not renegotiation["is_vulnerable_to_client_renegotiation_dos"]

    (deployment, *_) = result["certificate_info"]["certificate_deployments"]
    assert deployment["received_chain_has_valid_order"]
    ours = deployment["path_validation_results"]
    trusted = [path["was_validation_successful"] for path in ours if "Supplied" in path["trust_store"]["name"]]
    assert trusted == [True]


def test_a_renewed_certificate_is_served_without_a_restart(secured):
    port = urlsplit(secured.url).port

    def served():
        return ssl.get_server_certificate(("localhost", port), ca_certs=secured.ca)

    before = served()
    file = secured.home / "mwaa-gateway.toml"
    code, _, err = run(secured, [BINARY, "certs", "--config", file])
    assert code == 0 and "the CA is the same" in err, err
    eventually(lambda: served() != before, "the renewed certificate")
    secured.gateway.line("the listener's certificate was loaded again")
