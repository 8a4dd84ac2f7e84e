# "Creating a webserver session token", Airflow v3: access-mwaa-apache-airflow-rest-api.html
import datetime
import sys

import boto3
import requests


def get_token(region, name):
    mwaa = boto3.client("mwaa", region_name=region)
    token = mwaa.create_web_login_token(Name=name)
    host = token["WebServerHostname"]
    login = f"https://{host}/pluginsv2/aws_mwaa/login"
    response = requests.post(login, data={"token": token["WebToken"]}, timeout=10)
    assert response.status_code == 200, response.text
    return host, response.cookies["_token"]


def trigger_dag(region, name, dag):
    host, token = get_token(region, name)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = {"logical_date": datetime.datetime.now(datetime.UTC).isoformat()}
    return requests.post(f"https://{host}/api/v2/dags/{dag}/dagRuns", headers=headers, json=body)


response = trigger_dag(*sys.argv[1:])
print(response.status_code, response.json()["dag_run_id"])
