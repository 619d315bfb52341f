"""All that the flows use of DVC beside its commands: DVC promises none of it, so it stands here, and nowhere else.

`tests/unit/flows/test_flow_dvc_internals.py` says what of it is used and how it is called, and fails by name where a new
version of DVC has changed it. `docs/decisions/our-own-runner.md` says why each is needed.
"""

from importlib import import_module
from typing import Any

import dvc.rwlock as path_locks
from dvc.dependency.db import AbstractDependency
from dvc.dependency.repo import RepoDependency
from dvc.dvcfile import PROJECT_FILE, Lockfile
from dvc.exceptions import DvcException
from dvc.lock import Lock, LockError
from dvc.progress import Tqdm
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import _reproduce_stage as reproduce_stage
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotSupported
from dvc.stage.exceptions import StageCmdFailedError
from dvc.stage.loader import StageLoader
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml, loads_yaml

gitignore: Any = import_module("dulwich.ignore")
"""How DVC's own dependency reads `.gitignore`."""

__all__ = [
    "PROJECT_FILE",
    "AbstractDependency",
    "DvcException",
    "Lock",
    "LockError",
    "Lockfile",
    "PipelineStage",
    "Repo",
    "RepoDependency",
    "RunCacheNotSupported",
    "StageCmdFailedError",
    "StageLoader",
    "Tqdm",
    "dumps_yaml",
    "get_active_graph",
    "gitignore",
    "loads_yaml",
    "lock_repo",
    "path_locks",
    "plan_repro",
    "reproduce_stage",
    "to_lockfile",
]
