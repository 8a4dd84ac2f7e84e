# "Calling the Apache Airflow REST API": access-mwaa-apache-airflow-rest-api.html
import boto3

ENVIRONMENT = "YOUR_ENVIRONMENT_NAME"


def list_dags(client):
    request = {"Name": ENVIRONMENT, "Path": "/dags", "Method": "GET", "QueryParameters": {"paused": False}}
    return client.invoke_rest_api(**request)["RestApiResponse"]


def create_variable(client):
    body = {"key": "sample-key", "value": "sample-value", "description": "made by InvokeRestApi"}
    request = {"Name": ENVIRONMENT, "Path": "/variables", "Method": "POST", "Body": body}
    return client.invoke_rest_api(**request)["RestApiResponse"]


client = boto3.client("mwaa")
print([dag["dag_id"] for dag in list_dags(client)["dags"]])
print(create_variable(client)["key"])
