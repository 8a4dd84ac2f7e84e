"""DAGs whose commands end in the ways that the DAGs of the lab do not."""
import datetime
import sys

try:                                    # Airflow 3
    from airflow.exceptions import AirflowSkipException
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG, Asset
except ImportError:                     # Airflow 2
    from airflow import DAG
    from airflow.datasets import Dataset
    from airflow.exceptions import AirflowSkipException
    from airflow.operators.bash import BashOperator
    from airflow.operators.python import PythonOperator

    def Asset(uri, name):
        return Dataset(uri)


def fails():
    raise RuntimeError("always")


def skips():
    raise AirflowSkipException("not today")


start = datetime.datetime(2024, 1, 1)

with DAG("lab_daily", start_date=start, schedule="@daily", catchup=False):
    BashOperator(task_id="say", bash_command="echo hi",
                 outlets=[Asset(uri="lab://asset", name="lab_asset")])

with DAG("lab_always_fails", start_date=start, schedule=None, catchup=False):
    PythonOperator(task_id="raises", python_callable=fails)
    PythonOperator(task_id="exits", python_callable=lambda: sys.exit(3))
    PythonOperator(task_id="skips", python_callable=skips)

with DAG("lab_template", start_date=start, schedule=None, catchup=False):
    BashOperator(task_id="wrong", bash_command="echo {{ nothing.of.this }}")
