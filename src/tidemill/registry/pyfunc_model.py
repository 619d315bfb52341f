"""The model as MLflow loads it: this file and the folder of weights and JSON, nothing pickled."""

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class TidemillModel(PythonModel):
    """Answers rows as `tidemill.tasks._predictor.Predictor` does."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights. Torch is imported here, not when the model is packaged."""
        from tidemill.tasks._predictor import Predictor

        self.predictor = Predictor(context.artifacts["model"])
        self.encoded = context.model_config["bytes"]

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row of `prediction`, `confidence` and `probabilities` for each row of input.

        Args:
            params: The task's options, as `{"temperature": 0.7}`; MLflow adds the defaults of the others.

        MLflow makes `{"text": ["a", "b"]}` one row that holds a list: it is taken for the two rows that are meant.
        """
        texts = [name for name in model_input if name not in self.encoded]
        rows = model_input.explode(texts, ignore_index=True) if texts else model_input
        return self.predictor.predict(rows, **(params or {}))


mlflow.models.set_model(TidemillModel())
