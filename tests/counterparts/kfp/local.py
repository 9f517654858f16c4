"""A step of the local pipeline service that is a whole pipeline of Kubeflow: compiled, read back, and run here."""

import json
import os
import sys

from kfp import compiler, components, dsl, local

PLAIN = {"base_image": f"python:3.{sys.version_info.minor}", "install_kfp_package": False}


@dsl.component(**PLAIN)
def train(rate: float) -> float:
    if rate <= 0:
        raise ValueError("the rate is not above 0")
    return 0.9 + rate / 10


@dsl.component(**PLAIN)
def publish(accuracy: float) -> str:
    return f"published with {accuracy:.2f}"


@dsl.pipeline(name="churn")
def churn(rate: float) -> float:
    trained = train(rate=rate)
    with dsl.If(trained.output >= 0.95):
        publish(accuracy=trained.output)
    return trained.output


folder = os.environ["REFIT_RUN_DIR"]
with open(os.environ["REFIT_PARAMETERS"], encoding="utf-8") as file:
    parameters = json.load(file)
compiled = os.path.join(folder, "compiled.yaml")
compiler.Compiler().compile(churn, compiled)
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=os.path.join(folder, "artifacts", "kfp"))
task = components.load_component_from_file(compiled)(**parameters)
with open(os.path.join(folder, "artifacts", "metrics.json"), "w", encoding="utf-8") as file:
    json.dump({"accuracy": task.output}, file)
