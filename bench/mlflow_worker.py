"""MLflow's side of `registry_mlflow.py`, in an environment of its own.

    python mlflow_worker.py FOLDER

Reads lines "WORK MODEL TIMES" and answers each with a line of JSON: the seconds that each took.
"""

import json
import logging
import sys
import time
from pathlib import Path

logging.disable(logging.WARNING)

import mlflow  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402


def main() -> None:
    folder = Path(sys.argv[1])
    database = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=database, registry_uri=database)
    source = str(folder / "model.bin")

    def register(model: str) -> None:
        made = client.create_model_version(model, source)
        client.set_registered_model_alias(model, "current", made.version)

    def read(model: str) -> None:
        client.get_model_version_by_alias(model, "current")

    def listed(model: str) -> None:
        found = client.search_model_versions(f"name = '{model}'", max_results=1000)
        assert len(found) >= 1000

    works = {"make": client.create_registered_model, "register": register, "read": read}
    works |= {"list": listed, "fill": lambda model: client.create_model_version(model, source)}
    print(mlflow.__version__, flush=True)
    for line in sys.stdin:
        work, model, times = line.split()
        took = []
        for _ in range(int(times)):
            begin = time.perf_counter()
            works[work](model)
            took.append(time.perf_counter() - begin)
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
