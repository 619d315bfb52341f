"""Names under which Tidemill writes on MLflow's runs and versions: every tag and both aliases.

They are stored in registries that outlive the code: a name that is changed here is not found on earlier versions.
"""

CHAMPION = "champion"
"""Alias of the version in service."""
CHALLENGER = "challenger"
"""Alias of the newest version that passed its gates."""

# Tags of a training's run.
SYSTEM = "tidemill.system"
FINGERPRINT = "tidemill.fingerprint"
"""Hash of everything that the training reads; by it an interrupted training finds its run again."""
RESTORED = "tidemill.restored"
"""The run was written by `register`, since the training itself came from DVC's cache."""
WEIGHTS = "tidemill.weights_sha256"
"""sha256 of the weights: on the run that made them and on the versions that hold them."""

# Tags of the run of a sweep and of those of its trials.
SWEEP = "tidemill.sweep"
TRIAL = "tidemill.trial"
PARENT = "mlflow.parentRunId"
"""MLflow's own tag: by it MLflow's page nests a run in another."""
BEST = "tidemill.best."
"""Beginning of the tags that name the best trial."""
RESUMED_FROM = "tidemill.resumed_from"
"""Attribute of a trial in Optuna's study: the number of the interrupted trial whose training it resumes."""

# Tags of a version: where it is from.
FOLDER = "tidemill.folder"
"""Folder of its run's artifacts that holds its model and evaluation."""
EVALUATION = "tidemill.evaluation_sha256"
TEST_SET = "tidemill.test_sha256"
COMMIT = "tidemill.commit"
DIRTY = "tidemill.dirty"
DVC_LOCK = "tidemill.dvc_lock_sha256"
DATA = "tidemill.data"
DETERMINISM = "tidemill.determinism"
DEVICE = "tidemill.device"
PARENT_RUN = "tidemill.parent_run_id"
FLOW_RUN = "tidemill.flow_run_id"

# Tags of a version: what the gates found.
PASSED = "tidemill.passed"
REASON = "tidemill.reason"
COMPARED = "tidemill.compared_with"
"""The champion that its gates compared it with, by which a promotion knows whether that still is the champion."""
PROPOSER = "tidemill.proposed_by"
STATEMENT = "tidemill.statement"
"""The same, signed, with the hashes of the version's files: the tags above are for the eye only."""

# Tags of a version: what a person decides on MLflow's page, and what became of it.
DECISION = "tidemill.decision"
DECIDED_BY = "tidemill.decided_by"
COMMENT = "tidemill.comment"
REFUSED = "tidemill.refused"
CARRIED_OUT = "tidemill.carried_out"
