"""What a program with apache-airflow-client 2.10 does, given nothing but a base URL."""

import json
import sys

from airflow_client.client import ApiClient, Configuration
from airflow_client.client.api.dag_api import DAGApi
from airflow_client.client.api.dag_run_api import DAGRunApi
from airflow_client.client.api.monitoring_api import MonitoringApi
from airflow_client.client.api.variable_api import VariableApi
from airflow_client.client.model.dag_run import DAGRun
from airflow_client.client.model.variable import Variable

base, run_id = sys.argv[1:]
with ApiClient(Configuration(host=base + "/api/v1")) as client:
    run = DAGRunApi(client).post_dag_run("lab_params", DAGRun(dag_run_id=run_id, conf={"lines": 1}))
    again = DAGRunApi(client).get_dag_run("lab_params", run_id)
    VariableApi(client).post_variables(Variable(key="client", value="ž /+%2F"))
    told = {
        "version": MonitoringApi(client).get_version().version,
        "dags": [dag.dag_id for dag in DAGApi(client).get_dags(order_by="dag_id").dags],
        "run": [run.dag_run_id, again.dag_run_id, again.conf],
        "variable": VariableApi(client).get_variable("client").value,
    }
json.dump(told, sys.stdout)
