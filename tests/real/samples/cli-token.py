# "Using a Python script": call-mwaa-apis-cli.html
import base64

import boto3
import requests

client = boto3.client("mwaa")
token = client.create_cli_token(Name="YOUR_ENVIRONMENT_NAME")
response = requests.post(
    "https://{0}/aws_mwaa/cli".format(token["WebServerHostname"]),
    headers={"Authorization": "Bearer " + token["CliToken"], "Content-Type": "text/plain"},
    data="dags trigger YOUR_DAG_NAME",
)
print(response.status_code)
print(base64.b64decode(response.json()["stderr"]).decode("utf8"))
print(base64.b64decode(response.json()["stdout"]).decode("utf8"))
