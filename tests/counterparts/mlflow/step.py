"""The steps of the pipelines that the walk to production runs, with MLflow's own client: step.py train|test|deploy.

`train` logs a model to the experiment, as a team that uses MLflow does; `test` and `deploy` load the version they are
given from the registry, and predict with it.
"""

import csv
import json
import os
import pathlib
import sys
from urllib.parse import urlsplit

import mlflow

PARAMETERS = json.loads(pathlib.Path(os.environ["REFIT_PARAMETERS"]).read_text())


def rows():
    """The rows of all members of the manifest: a number, and whether it is called high."""
    for line in pathlib.Path(urlsplit(PARAMETERS["manifest"]).path).read_text().splitlines():
        member = urlsplit(json.loads(line)["uri"])
        with open(f"{os.environ['REFIT_BUCKETS']}/{member.netloc}{member.path}") as file:
            yield from ((float(row["size"]), int(row["high"])) for row in csv.DictReader(file))


def train():
    from sklearn.linear_model import LogisticRegression

    sizes, high = zip(*rows())
    sizes = [[size] for size in sizes]
    model = LogisticRegression().fit(sizes, high)
    mlflow.set_experiment("churn")
    with mlflow.start_run(tags={"refit_key": PARAMETERS["refit_key"]}):
        mlflow.log_metric("accuracy", model.score(sizes, high))
        mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])


def predicts(uri):
    model = mlflow.pyfunc.load_model(uri)
    assert list(model.predict([[0.0], [9.0]])) == [0, 1], uri


def test():
    predicts(PARAMETERS["uri"])
    predicts(f"models:/churn/{PARAMETERS['version']}")


def deploy():
    given = mlflow.MlflowClient().get_model_version_by_alias("churn", "production").version
    assert str(given) == PARAMETERS["version"], given
    predicts("models:/churn@production")
    predicts("models:/churn/Production")


{"train": train, "test": test, "deploy": deploy}[sys.argv[1]]()
