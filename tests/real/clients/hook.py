"""The Amazon provider's hook, operator and sensors against one environment. The arguments are its
name and Airflow's major version; prints what each found as JSON."""

import functools
import json
import sys

from airflow.providers.amazon.aws.hooks.mwaa import MwaaHook
from airflow.providers.amazon.aws.operators.mwaa import MwaaTriggerDagRunOperator
from airflow.providers.amazon.aws.sensors.mwaa import MwaaDagRunSensor, MwaaTaskSensor
from airflow.sdk import timezone
from botocore.exceptions import ClientError

name, major = sys.argv[1], int(sys.argv[2])
hook = MwaaHook(aws_conn_id=None)
found = {}
for path, local in [("call", False), ("local token", True)]:
    invoke = functools.partial(
        hook.invoke_rest_api, env_name=name, generate_local_token=local, airflow_version=major
    )
    listed = invoke(path="/dags", method="GET", query_params={"order_by": "dag_id"})
    operator = MwaaTriggerDagRunOperator(
        task_id=f"trigger-{path.replace(' ', '-')}", env_name=name, trigger_dag_id="lab_hello",
        logical_date=timezone.utcnow().isoformat(), note=path, airflow_version=major, aws_conn_id=None,
    )
    operator.hook.invoke_rest_api = functools.partial(operator.hook.invoke_rest_api, generate_local_token=local)
    run = operator.execute({})["RestApiResponse"]
    where = {"external_env_name": name, "external_dag_id": "lab_hello", "external_dag_run_id": run["dag_run_id"],
             "airflow_version": major, "poke_interval": 1, "aws_conn_id": None}
    for sensor in [MwaaDagRunSensor(task_id="run", **where),
                   MwaaTaskSensor(task_id="task", external_task_id="greet", **where)]:
        sensor.hook.invoke_rest_api = functools.partial(sensor.hook.invoke_rest_api, generate_local_token=local)
        sensor.execute({})
    found[path] = {
        "status": listed["RestApiStatusCode"],
        "dags": [dag["dag_id"] for dag in listed["RestApiResponse"]["dags"]],
        "run": run["dag_run_id"],
    }
try:
    hook.invoke_rest_api(env_name="nosuch", path="/dags", method="GET")
except ClientError as error:
    found["error"] = error.response["Error"]["Code"]
print(json.dumps(found))
