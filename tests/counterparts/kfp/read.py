"""Reads a run as the SDK of Kubeflow Pipelines does: read.py URL RUN."""

import json
import sys

import kfp

url, run_id = sys.argv[1:]
client = kfp.Client(host=url)
run = client.get_run(run_id)
listed = client.list_runs(experiment_id=run.experiment_id).runs
waited = client.wait_for_run_completion(run_id, timeout=60, sleep_duration=0)
found = {
    "run": run.run_id,
    "name": run.display_name,
    "pipeline": run.pipeline_spec["pipelineInfo"]["name"],
    "parameters": run.runtime_config.parameters,
    "created": run.created_at.isoformat(),
    "listed": [other.run_id for other in listed],
    "ended": waited.state,
}
print(json.dumps(found))
