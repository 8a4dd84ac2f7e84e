"""The charts of deploy/helm and the example of deploy/kubernetes: rendered by helm and kubectl, held
against Kubernetes' own schemas, and run from their manifests. There is no cluster: the image runs as
the manifest says, in a network with the pod's address, and the test does what a kubelet does."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tomllib

import pytest
import yaml
from containers import Container
from network import Network
from programs import BINARY, LAB, ROOT, Emulator, environment, eventually

CHARTS = ROOT / "deploy/helm"
HELM = LAB / "helm/helm/helm"
KUBECTL = LAB / "helm/kubectl/kubectl"
VALIDATE = LAB / "kubernetes/bin/kubernetes-validate"
VERSIONS = ["1.30", "1.37"]  # the oldest that the chart takes, and the newest
POD = "10.42.0.7"
COMMAND = ["-HContent-Type: text/plain", "-HAccept: text/plain", "-dversion"]
OPERATOR = "monitoring.coreos.com/v1"

MUTUAL_TLS = {"tls": {"secretName": "gateway-tls"}}
ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/mwaa-gateway"}
ACCEPTED = {
    "plain": MUTUAL_TLS,
    "secret": {**MUTUAL_TLS, "secret": {"secretName": "gateway-secret"}},
    "risk": {"config": {"listener": {"dangerous_non_loopback": True, "address": "[::]:8081"}}},
    "autoscaled": {**MUTUAL_TLS, "autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": 1}}},
    "irsa": {**MUTUAL_TLS, "serviceAccount": {"annotations": ROLE}},
    "pod-identity": {**MUTUAL_TLS, "serviceAccount": {"create": False, "name": "theirs"}},
    "pod-monitor": {**MUTUAL_TLS, "monitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "service-monitor": {**MUTUAL_TLS, "monitor": {"enabled": True, "kind": "ServiceMonitor"}},
    "bare": {
        **MUTUAL_TLS,
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "topologySpread": False,
    },
    "full": {
        **MUTUAL_TLS,
        "image": {"digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "config": {
            "aws": {"discover_in": ["eu-west-1", "eu-central-1"]},
            "limits": {"threads": 2, "drain": "20s"},
            "audit": {"file": 'a "quoted" \\ <log>', "required": False},
            "listeners": {"agents": {"address": "0.0.0.0:8444", "policy": "read-only"}},
            "environments": {
                "prod": {"name": "analytics-prod", "deny": ["dags delete"], "cli_concurrency": 2},
                "test": {"region": "eu-west-1", "default": True},
            },
        },
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.corp.example:3128"}],
        "extraArgs": ["--log", "debug"],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/run/ca"}],
        "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
        "networkPolicy": {
            "clients": [{"namespaceSelector": {"matchLabels": {"team": "data"}}}],
            "monitors": [{"namespaceSelector": {}}],
            "egress": [{"ports": [{"port": 3128}]}],
        },
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "podLabels": {"team": "data"},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    },
    "fleet": {
        **MUTUAL_TLS,
        "config": {"fleet": {"store": "rediss://gate@cache.corp.example:6379"}},
        "fleet": {"secretName": "fleet", "passwordKey": "password"},
        "networkPolicy": {"egress": [{"ports": [{"port": 6379}]}]},
    },
    "sidecar": {"mode": "sidecar", "monitor": {"enabled": True}},
}

REFUSED = {
    "/tls/secretName": {},
    "/mode": {"mode": "daemonset"},
    "/config/environments/prod": {**MUTUAL_TLS, "config": {"environments": {"prod": {"polciy": "all"}}}},
    "/config/environments/prod/policy": {
        **MUTUAL_TLS, "config": {"environments": {"prod": {"policy": "everything"}}},
    },
    "/config/limits/threads": {**MUTUAL_TLS, "config": {"limits": {"threads": "two"}}},
    "/config/listener/address": {**MUTUAL_TLS, "config": {"listener": {"address": "127.0.0.1:8080"}}},
    "/config/management/probes": {**MUTUAL_TLS, "config": {"management": {"probes": "127.0.0.1:9181"}}},
    "/image/digest": {**MUTUAL_TLS, "image": {"digest": "latest"}},
    "/monitor/kind": {"mode": "sidecar", "monitor": {"kind": "ServiceMonitor"}},
    "/replicas": {**MUTUAL_TLS, "replicas": -1},
    "'replica'": {**MUTUAL_TLS, "replica": 1},
    "/config": {**MUTUAL_TLS, "fleet": {"secretName": "fleet"}},
    "/service/port": {**MUTUAL_TLS, "service": {"port": 0}},
}  # fmt: skip


def run(home, *words):
    return subprocess.run(
        [str(word) for word in words], env=environment(home), cwd=home, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip


def helm(home, *words):
    done = run(home, HELM, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def template(home, values, chart=CHARTS / "mwaa-gateway", release="shared"):
    """The manifests of a release, and those of each kind by its name."""
    file = home / "values.json"
    file.write_text(json.dumps(values))
    text = helm(home, "template", release, chart, "--namespace", "data", "--values", file)
    return read(text)


def read(text):
    documents = [document for document in yaml.safe_load_all(text) if document]
    by_kind = {document["kind"]: document for document in documents}
    assert len(by_kind) == len(documents), "one of each kind"
    return by_kind


def validate(home, manifests):
    """Kubernetes' schemas, with no field that they do not know."""
    folder = home / "manifests"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for kind, manifest in manifests.items():
        if manifest["apiVersion"] != OPERATOR:  # not Kubernetes' own
            (folder / f"{kind}.yaml").write_text(yaml.safe_dump(manifest))
    for version in VERSIONS:
        done = run(home, VALIDATE, "--strict", "-k", version, *folder.iterdir())
        assert done.returncode == 0, f"{version}: {done.stdout}{done.stderr}"


def check(home, text):
    """The gateway's own opinion of a configuration."""
    if "[listener.tls]" in text:
        for name, content in certificates(home, "gateway").items():
            (home / name).write_text(content)
    file = home / "config.toml"
    for name, content in {"secret": "correct horse", "password": "correct", "key": "A" * 43 + "="}.items():
        (home / name).write_text(content)
        (home / name).chmod(0o600)
    for folder in ("secret", "tls", "fleet"):
        text = text.replace(f"/run/mwaa-gateway/{folder}", str(home))
    file.write_text(text)
    done = run(home, BINARY, "check", "--offline", "--config", file)
    assert done.returncode == 0, done.stdout + done.stderr


def certificates(folder, name):
    """What cert-manager puts into a Secret for a name, and a client with a certificate of its authority."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *new, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    for who in (name, "client"):
        (folder / "names").write_text(f"subjectAltName=DNS:{who}\n")
        openssl("req", *new, "-subj", f"/CN={who}", "-keyout", f"{who}.key", "-out", f"{who}.csr")
        openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2",
                "-CAcreateserial", "-extfile", "names", "-out", f"{who}.crt")  # fmt: skip
    names = {"tls.crt": f"{name}.crt", "tls.key": f"{name}.key", "ca.crt": "ca.crt"}
    return {key: (folder / file).read_text() for key, file in names.items()}


def within(part, whole):
    return part.items() <= whole.items()


def gateway_of(pod):
    containers = pod.get("initContainers", []) + pod["containers"]
    return next(each for each in containers if each["name"] == "mwaa-gateway")


def ports_of(container):
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def test_the_charts_have_no_lint(tmp_path, example):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(MUTUAL_TLS))
    helm(tmp_path, "lint", "--strict", CHARTS / "mwaa-gateway", "--values", file)
    helm(tmp_path, "lint", "--strict", example)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The chart with the Job, with the chart that it depends on."""
    folder = tmp_path_factory.mktemp("charts")
    shutil.copytree(CHARTS, folder, dirs_exist_ok=True)
    helm(folder, "dependency", "build", folder / "example-job")
    return folder / "example-job"


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_manifests_are_valid_and_fit_together(tmp_path, name):
    values = ACCEPTED[name]
    manifests = template(tmp_path, values)
    validate(tmp_path, manifests)
    config = manifests["ConfigMap"]
    check(tmp_path, config["data"]["config.toml"])

    label = {"mwaa-gateway/release": "shared"}
    if monitor := manifests.get("PodMonitor"):
        assert monitor["apiVersion"] == OPERATOR
        assert monitor["spec"]["selector"]["matchLabels"] == label
        assert [each["port"] for each in monitor["spec"]["podMetricsEndpoints"]] == ["probes"]
    if values.get("mode") == "sidecar":
        assert set(manifests) == {"ConfigMap", "ServiceAccount", "PodMonitor"}
        return

    deployment, service = manifests["Deployment"]["spec"], manifests["Service"]
    pod, meta = deployment["template"]["spec"], deployment["template"]["metadata"]
    container = gateway_of(pod)
    ports = ports_of(container)
    assert deployment["selector"]["matchLabels"] == service["spec"]["selector"] == label
    assert within(label, meta["labels"])
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    assert ("replicas" in deployment) != ("HorizontalPodAutoscaler" in manifests)
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        assert (kind in manifests) == (name != "bare")
    if autoscaler := manifests.get("HorizontalPodAutoscaler"):
        assert autoscaler["spec"]["scaleTargetRef"]["name"] == manifests["Deployment"]["metadata"]["name"]
    if policy := manifests.get("NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"] == label
        named = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        assert set(named) <= set(ports)
    if monitor := manifests.get("ServiceMonitor"):
        assert within(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        assert "probes" in [port["name"] for port in service["spec"]["ports"]]

    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    wanted = "theirs" if name == "pod-identity" else "shared-mwaa-gateway"
    assert pod["serviceAccountName"] == wanted
    assert ("ServiceAccount" in manifests) == (name != "pod-identity")
    if name == "irsa":
        assert manifests["ServiceAccount"]["metadata"]["annotations"] == ROLE
    # the gateway itself accepts connections while the pod leaves the Service
    assert "lifecycle" not in container
    written = tomllib.loads(config["data"]["config.toml"])
    if name == "fleet":
        folder = "/run/mwaa-gateway/fleet"
        files = {key: file for key, file in written["fleet"].items() if key.endswith("_file")}
        assert files == {"key_file": f"{folder}/key", "password_file": f"{folder}/password"}
        assert folder in {mount["mountPath"] for mount in container["volumeMounts"]}
    limits = written["limits"]
    times = [int(limits.get(key, default)[:-1]) for key, default in [("shutdown_delay", "0s"), ("drain", "25s")]]
    assert times[0] > 0 and pod["terminationGracePeriodSeconds"] >= sum(times) + 5


def test_alerts_and_the_dashboard_are_the_files_of_deploy(tmp_path):
    values = {**MUTUAL_TLS, "monitor": {"alerts": True, "dashboard": True, "labels": {"release": "prometheus"}}}
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    text = helm(tmp_path, "template", "shared", CHARTS / "mwaa-gateway", "--values", file)
    manifests = {document["metadata"]["name"]: document for document in yaml.safe_load_all(text) if document}
    dashboard = manifests["shared-mwaa-gateway-dashboard"]
    assert within({"grafana_dashboard": "1"}, dashboard["metadata"]["labels"])
    files = {"mwaa-gateway.json": (ROOT / "deploy/grafana/dashboard.json").read_text()}
    assert dashboard["data"] == files
    validate(tmp_path, {"ConfigMap": dashboard})

    rules = [document for document in yaml.safe_load_all(text) if document and document["kind"] == "PrometheusRule"]
    assert rules[0]["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    assert within({"release": "prometheus"}, rules[0]["metadata"]["labels"])


def test_a_change_of_the_configuration_replaces_the_pods(tmp_path):
    def annotation(environments):
        values = {**MUTUAL_TLS, "config": {"environments": environments}}
        deployment = template(tmp_path, values)["Deployment"]
        return deployment["spec"]["template"]["metadata"]["annotations"]

    first = annotation({"prod": {}})
    assert len(first["checksum/mwaa-gateway-config"]) == 64
    assert annotation({"prod": {}}) == first
    assert annotation({"test": {}}) != first


@pytest.mark.parametrize("place", REFUSED)
def test_wrong_values_are_refused(tmp_path, place):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(REFUSED[place]))
    done = run(tmp_path, HELM, "template", "shared", CHARTS / "mwaa-gateway", "--values", file)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert place in done.stderr


def test_the_schema_has_the_keys_of_the_configuration(tmp_path):
    file = CHARTS / "mwaa-gateway/values.schema.json"
    schema = json.loads(file.read_text())
    printed = json.loads(run(tmp_path, BINARY, "config", "schema").stdout)
    del printed["$schema"], printed["title"]
    if os.environ.get("UPDATE_EXPECTED"):
        schema["properties"]["config"] = printed
        file.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    assert schema["properties"]["config"] == printed, "run this test with UPDATE_EXPECTED=1"


def test_the_notes_are_for_the_values(tmp_path):
    file = tmp_path / "values.json"

    def notes(values):
        file.write_text(json.dumps(values))
        chart = CHARTS / "mwaa-gateway"
        said = helm(tmp_path, "install", "g", chart, "--dry-run=client", "--values", file)
        return said.partition("NOTES:")[2]

    shared = notes(MUTUAL_TLS)
    assert "https://g-mwaa-gateway.default:8443/aws_mwaa/cli" in shared and "EKS Pod Identity" in shared
    assert "the pods of its namespace" in shared and "cli_concurrency" in shared
    assert "cli_concurrency" not in notes(ACCEPTED["fleet"])
    assert "neither TLS" in notes(ACCEPTED["risk"])
    assert ROLE["eks.amazonaws.com/role-arn"] in notes(ACCEPTED["irsa"])
    assert "mwaa-gateway.sidecar" in notes({"mode": "sidecar"})


def test_the_commands_of_the_page_work(tmp_path):
    """Those that need a cluster do everything but install."""
    shutil.copytree(CHARTS, tmp_path / "deploy/helm")
    page = (ROOT / "docs/operations/kubernetes.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S)
    files = {}
    for language, text in blocks:
        if language == "yaml":
            name = re.match(r"# file: (\S+)\n", text)[1]
            files[name] = yaml.safe_load(text)
            (tmp_path / name).write_text(text)
    ran = 0
    for language, text in blocks:
        for line in text.splitlines() if language == "sh" else []:
            program, *words = line.split()
            assert program == "helm"
            helm(tmp_path, *words, *(["--dry-run=client"] if words[0] == "install" else []))
            ran += 1
    assert (ran, set(files)) == (3, {"fleet.yaml", "irsa.yaml", "sidecar.yaml", "values.yaml"})
    both = ["--values", "values.yaml", "--values", "fleet.yaml"]
    rendered = helm(tmp_path, "template", "g", CHARTS / "mwaa-gateway", *both)
    assert files["fleet.yaml"]["config"]["fleet"]["store"] in rendered
    account = template(tmp_path, {**files["values.yaml"], **files["irsa.yaml"]})["ServiceAccount"]
    assert account["metadata"]["annotations"] == ROLE


def test_the_chart_and_the_program_have_one_version(tmp_path):
    chart = yaml.safe_load((CHARTS / "mwaa-gateway/Chart.yaml").read_text())
    example = yaml.safe_load((CHARTS / "example-job/Chart.yaml").read_text())
    said = run(tmp_path, BINARY, "--version").stdout.split()
    assert said == ["mwaa-gateway", chart["appVersion"]]
    assert example["dependencies"][0]["version"] == chart["version"]


def test_the_kustomize_example_is_the_same_sidecar(tmp_path, example):
    done = run(tmp_path, KUBECTL, "kustomize", ROOT / "deploy/kubernetes")
    assert done.returncode == 0, done.stderr
    manifests = read(done.stdout)
    validate(tmp_path, manifests)
    config = manifests["ConfigMap"]
    check(tmp_path, config["data"]["config.toml"])
    pod = manifests["Pod"]["spec"]
    assert config["metadata"]["name"].startswith("mwaa-gateway-"), "a name with a hash"
    assert pod["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]

    mine = gateway_of(pod)
    theirs = gateway_of(template(tmp_path, {}, example)["Job"]["spec"]["template"]["spec"])
    for key in ("image", "command", "args", "restartPolicy", "ports", "startupProbe", "readinessProbe",
                "livenessProbe", "resources"):  # fmt: skip
        assert mine[key] == theirs[key], key
    assert {**pod["securityContext"], **mine["securityContext"]} == theirs["securityContext"]


# --- run


@pytest.fixture
def network(tmp_path):
    """The pod's network: what listens on its address can be reached from elsewhere."""
    with Network(tmp_path) as network:
        assert network.run("ip", "address", "add", f"{POD}/32", "dev", "lo").returncode == 0
        yield network


@pytest.fixture
def emulator(network, tmp_path):
    with Emulator(tmp_path, through=network.inside()) as emulator:
        yield emulator


def config_of(emulator, **more):
    """What a pod's configuration says about the emulator."""
    return emulator.config_for_one(ca_file="/run/emulator/emulator.pem", **more)


def start(image, network, emulator, manifests, pod, files=None):
    """Starts the gateway of a pod as a kubelet does. `files` are those of the Secrets, by their volumes."""
    container = gateway_of(pod)
    assert container["command"] == image.config["Entrypoint"]
    folder = network.folder / "volumes"
    contents = {"mwaa-gateway-config": manifests["ConfigMap"]["data"], **(files or {})}
    mounts = {}
    for mount in container["volumeMounts"]:
        volume = folder / mount["name"]
        volume.mkdir(parents=True)
        for name, text in contents[mount["name"]].items():
            (volume / name).write_text(text)
            if mount["name"] != "mwaa-gateway-config":
                # a Secret with defaultMode 0440 belongs to root and to fsGroup
                (volume / name).chmod(0o440)
                os.chown(volume / name, 0, pod["securityContext"]["fsGroup"])
        mounts[mount["mountPath"]] = volume
    trust = folder / "emulator"
    trust.mkdir()
    shutil.copy(emulator.ca_file, trust / "emulator.pem")
    mounts["/run/emulator"] = trust
    variables = emulator.credentials()
    return Container(image, network, mounts, container["args"], variables), container


def probe(network, container, name):
    """The status that a kubelet sees."""
    get = container[name]["httpGet"]
    port = ports_of(container)[get["port"]]
    url = f"http://{POD}:{port}{get['path']}"
    done = network.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url)
    return int(done.stdout)


def test_the_job_ends_with_its_sidecar(tmp_path, image, network, emulator, example):
    # its environment takes the place of the example's
    values = {"mwaa-gateway": {"config": config_of(emulator, default=True)}}
    manifests = template(tmp_path, values, example)
    validate(tmp_path, manifests)
    pod = manifests["Job"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 25 + 5, "limits.drain"
    running, container = start(image, network, emulator, manifests, pod)
    with running:
        assert container["restartPolicy"] == "Always"
        eventually(lambda: probe(network, container, "startupProbe") == 200, "the startup probe")
        done = network.run(*pod["containers"][0]["command"])
        assert done.returncode == 0 and "lab_hello" in done.stdout, done.stdout + done.stderr
        for name in ("readinessProbe", "livenessProbe"):
            assert probe(network, container, name) == 200
        # the containers have ended: now the sidecar gets SIGTERM
        running.signal(signal.SIGTERM)
        assert running.wait() == 0, running.output()


@contextlib.contextmanager
def deployment(folder, image, network, emulator, values, secrets=None):
    """Runs a pod of the Deployment. Gives curl's words for `version`, without what shows who the client is."""
    name = "shared-mwaa-gateway.data"
    network.name(f"{POD} {name}")
    manifests = template(folder, {**values, "config": config_of(emulator)})
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    files = {"mwaa-gateway-tls": certificates(folder, name), **(secrets or {})}
    running, container = start(image, network, emulator, manifests, pod, files)
    with running:
        eventually(lambda: probe(network, container, "readinessProbe") == 200, "readiness")
        url = f"https://{name}:{manifests['Service']['spec']['ports'][0]['port']}/aws_mwaa/cli"
        yield [url, "--cacert", str(folder / "ca.crt"), *COMMAND]
        running.signal(signal.SIGTERM)
        assert running.wait() == 0, running.output()


def test_a_deployment_serves_clients_with_a_certificate(tmp_path, image, network, emulator):
    with deployment(tmp_path, image, network, emulator, MUTUAL_TLS) as words:
        client = ["--cert", str(tmp_path / "client.crt"), "--key", str(tmp_path / "client.key")]
        reply = network.curl(*words, *client)
        assert (reply.status, reply.text()) == (200, "2.10.3\n")
        refused = network.run("curl", "-sS", *words)
        assert refused.returncode != 0 and "certificate" in refused.stderr, refused.stderr


def test_a_deployment_serves_clients_with_the_secret(tmp_path, image, network, emulator):
    secrets = {"mwaa-gateway-secret": {"secret": "correct horse\n"}}
    with deployment(tmp_path, image, network, emulator, ACCEPTED["secret"], secrets) as words:
        reply = network.curl(*words, "-HMwaa-Gateway-Secret: correct horse")
        assert (reply.status, reply.text()) == (200, "2.10.3\n")
        assert network.curl(*words).status == 401
