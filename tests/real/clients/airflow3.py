"""What a program with apache-airflow-client 3 does, given nothing but a base URL."""

import json
import sys

from airflow_client.client import (
    ApiClient,
    Configuration,
    DAGApi,
    DagRunApi,
    TriggerDAGRunPostBody,
    VariableApi,
    VariableBody,
    VersionApi,
)

base, run_id = sys.argv[1:]
with ApiClient(Configuration(host=base)) as client:
    wanted = TriggerDAGRunPostBody(dag_run_id=run_id, conf={"lines": 1}, logical_date=None)
    # as JSON: the client's models are those of 3.3 and do not accept all responses of 3.0 about runs and DAGs
    runs = DagRunApi(client)
    run = runs.trigger_dag_run_without_preload_content("lab_params", wanted).json()
    again = runs.get_dag_run_without_preload_content("lab_params", run_id).json()
    dags = DAGApi(client).get_dags_without_preload_content(tags=["lab"]).json()
    VariableApi(client).post_variable(VariableBody(key="client", value="ž /+%2F"))
    told = {
        "version": VersionApi(client).get_version().version,
        "dags": sorted(dag["dag_id"] for dag in dags["dags"]),
        "run": [run["dag_run_id"], again["dag_run_id"], again["conf"]],
        "variable": VariableApi(client).get_variable("client").value,
    }
json.dump(told, sys.stdout)
