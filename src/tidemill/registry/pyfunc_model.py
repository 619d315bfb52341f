"""The model as MLflow loads it: this file and the folder of weights and JSON, nothing pickled."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class TidemillModel(PythonModel):
    """Predicts rows as `tidemill.inference.predictor.Predictor` does."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights. Torch is imported here, not when the model is packaged.

        A version carries the code of its own model and task only. Where `tidemill` has been imported before, from the
        project or another version, its packages get this version's folders as well.
        """
        import tidemill.models
        import tidemill.tasks

        code = Path(context.artifacts["model"]).resolve().parents[1] / "code"
        for package in (tidemill, tidemill.models, tidemill.tasks):
            package.__path__.append(str(code.joinpath(*package.__name__.split("."))))
        from tidemill.inference.predictor import Predictor

        self.predictor = Predictor(context.artifacts["model"])
        self.encoded = context.model_config["bytes"]

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return one row of `prediction`, `confidence` and `probabilities` for each row of input.

        MLflow makes `{"text": ["a", "b"]}` one row that holds a list: it is read as the two rows that are meant.

        Args:
            params: the task's options, as `{"temperature": 0.7}`; MLflow adds the defaults of the others.
        """
        texts = [name for name in model_input if name not in self.encoded]
        rows = model_input.explode(texts, ignore_index=True) if texts else model_input
        return self.predictor.predict(rows, **(params or {}))


mlflow.models.set_model(TidemillModel())
