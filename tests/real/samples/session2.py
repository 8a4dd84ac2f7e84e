# "Creating a webserver session token", Airflow v2: access-mwaa-apache-airflow-rest-api.html
import sys

import boto3
import requests


def get_session(region, name):
    mwaa = boto3.client("mwaa", region_name=region)
    token = mwaa.create_web_login_token(Name=name)
    host = token["WebServerHostname"]
    response = requests.post(f"https://{host}/aws_mwaa/login", data={"token": token["WebToken"]}, timeout=10)
    assert response.status_code == 200, response.text
    return host, response.cookies["session"]


def trigger_dag(region, name, dag):
    host, cookie = get_session(region, name)
    return requests.post(f"https://{host}/api/v1/dags/{dag}/dagRuns", cookies={"session": cookie}, json={"conf": {}})


response = trigger_dag(*sys.argv[1:])
print(response.status_code, response.json()["dag_run_id"])
