# Versions registered before the predictor moved to `tidemill.inference` import it from here (see their own
# `pyfunc_model.py`), which matters where MLflow loads one in a process that has imported this `tidemill` already.
from tidemill.inference.predictor import Predictor as Predictor
