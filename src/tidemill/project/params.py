"""The whole of `params.yaml`, typed: each room's block, each plug-in's part of it, and whether they fit each other."""

from pathlib import Path
from typing import Any

from pydantic import Field

from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE, Name, Params, checked, nearest, read_yaml
from tidemill.core.spec import Kind
from tidemill.evaluation.params import Evaluate, with_probes
from tidemill.formats.common.source import Source
from tidemill.models.common import networks
from tidemill.models.common.params import ModelParams, check_model
from tidemill.registry.params import Gates, with_limits
from tidemill.rows.params import CrossValidation, Ingest
from tidemill.serving.params import Monitor, Serve
from tidemill.sources.params import Download
from tidemill.sweeping.params import Sweep
from tidemill.tasks.common import encoding, learning
from tidemill.tasks.common.probes import probe
from tidemill.training.params import Training, completed
from tidemill.validation.params import Validate

ROWS_ALONE: tuple[Kind, ...] = (("tokens", "labels"), ("pixels", "labels"))
"""Kinds whose batches hold each row once and whole: others pack rows together, or cut one into several windows."""


class System(Params):
    """One named model that somebody wants to keep improving.

    Every block must be there, if only as `{}`: DVC can watch a param for changes only where it stands.
    """

    task: str
    """A package of `tidemill/tasks/`."""
    source: Source
    """Where the rows come from."""
    ingest: Ingest
    """How rows are cleaned and split."""
    validate_: Validate = Field(alias="validate")
    """What must hold for the tables."""
    tokenize: Any
    """What only this task takes: the `Tokenize` of its `encoding` module."""
    model: Any
    """`name`, a package of `tidemill/models/`, and that package's `Params`."""
    training: Training
    """How the network is trained."""
    evaluate: Evaluate
    """How the model is measured."""
    gates: Gates
    """What a candidate must reach."""
    sweep: Sweep | None = None
    """Optional: no stage reads it."""
    monitor: Monitor | None = None
    """Optional: no stage reads it."""
    serve: Serve | None = None
    """Optional: no stage reads it."""


class Project(Params):
    """The whole of `params.yaml`."""

    sources: dict[Name, list[Download]] = Field(default={})
    """What `tidemill fetch` downloads, by the folder under `data/` it goes to."""
    systems: dict[Name, System]
    """The models to build, by name."""
    cross_validation: CrossValidation = CrossValidation()
    """The systems to cross-validate, and the folds."""
    presets: dict[Name, System] = Field(default={})
    """Further systems that no stage runs: `tidemill new NAME --preset PRESET` copies one to the systems."""


def load_project(path: Path = PARAMS_FILE) -> Project:
    """Read and check all params.

    Raises:
        TidemillError: the file is missing or is not YAML; a param is unknown, missing or of a wrong type; or a model
            cannot do what its task asks. Every mistake is named with its path and, for a misspelt name, the nearest
            valid one.
    """
    project = checked(Project, read_yaml(path), "")
    blocks = {"systems": project.systems, "presets": project.presets}
    complete = {
        part: {name: with_plugins(f"{part}.{name}", system) for name, system in systems.items()}
        for part, systems in blocks.items()
    }
    for name in project.cross_validation.systems:
        if name not in project.systems:
            raise TidemillError(f"{path}: cross_validation.systems: no system {name!r}{nearest(name, project.systems)}")
    return project.model_copy(update=complete)


def load_system(name: str, path: Path = PARAMS_FILE) -> System:
    """Read and check all params, and return those of one system.

    Raises:
        TidemillError: as `load_project`, or there is no system of that name.
    """
    systems = load_project(path).systems
    if name not in systems:
        raise TidemillError(f"{path}: no system {name!r}{nearest(name, systems)}")
    return systems[name]


def with_values(name: str, system: System, values: dict[str, Any]) -> System:
    """Return the system with other values at dotted paths (`training.lr`), checked as if they stood in params.yaml.

    Raises:
        TidemillError: there is no such param, or a value does not fit it.
    """
    raw = system.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for path, value in values.items():
        *blocks, param = path.split(".")
        block = raw
        for part in blocks:
            block = block.setdefault(part, {})
        block[param] = value
    where = f"systems.{name}"
    return with_plugins(where, checked(System, raw, where))


def with_plugins(where: str, system: System) -> System:
    """Return the system with the params of its format, task and model checked by these.

    Args:
        where: its dotted path in `params.yaml`, for messages.

    Raises:
        TidemillError: a plug-in or a param of it does not exist, or the model cannot do what the task asks.
    """
    task = plugins.check_name("tasks", system.task, f"{where}.task")
    part = encoding.of(task)
    model = check_model(system.model, where)
    tokenize = checked(part.Tokenize, system.tokenize, f"{where}.tokenize")
    _check_fit(task, part.KINDS, part.kind(tokenize), model, where)
    if system.training.privacy is not None:
        _check_private(part.kind(tokenize), model, where)
    if system.evaluate.recitation is not None and part.kind(tokenize)[1] != "next token":
        raise TidemillError(f"{PARAMS_FILE}: {where}.evaluate.recitation: {task} generates no text; write null")
    if system.training.loss is not None and learning.of(task).LOSSES is None:
        raise TidemillError(f"{PARAMS_FILE}: {where}.training.loss: {task} predicts no numbers; write null")
    return system.model_copy(
        update={
            "source": _source(system.source, where),
            "tokenize": tokenize,
            "model": model,
            "training": completed(system.training, learning.of(task), networks.is_solved(model.name), where),
            "evaluate": with_probes(system.evaluate, probe.of(task).Params, where),
            "gates": with_limits(system.gates, where),
            "sweep": system.sweep and _sweep(system.sweep, where),
        }
    )


def _check_private(kind: Kind, model: ModelParams, where: str) -> None:
    """Refuse differential privacy where the gradient of a row cannot be told from those of the others."""
    reason = model.not_private() if isinstance(model, ModelParams) else ModelParams.not_private(model)
    if kind not in ROWS_ALONE:
        reason = (
            f"the rows of a batch are no single ones where {kind[0]} go to {kind[1]}: of texts and pictures, labels can"
        )
    if networks.is_solved(model.name):
        reason = "a solver adds no noise to its steps; mlp, lstm and cnn can"
    if reason is not None:
        raise TidemillError(
            f"{PARAMS_FILE}: {where}.training.privacy: {model.name} cannot be trained with it: {reason}"
        )


def _source(source: Source, where: str) -> Source:
    name = plugins.check_name("formats", source.format, f"{where}.source.format")
    options = checked(plugins.load("formats", name).Options, source.options, f"{where}.source.options")
    return source.model_copy(update={"options": options})


def _sweep(sweep: Sweep, where: str) -> Sweep:
    plugins.check_name("sweeping.samplers", sweep.sampler, f"{where}.sweep.sampler")
    return sweep


def _check_fit(task: str, kinds: tuple[Kind, ...], kind: Kind, model: ModelParams, where: str) -> None:
    accepted = {name: plugins.load("models", name).ACCEPTS for name in plugins.names("models")}
    able = [name for name, accepts in accepted.items() if kind in accepts]
    if model.name in able:
        if isinstance(model, ModelParams) and (reason := model.unfit(kind)) is not None:
            raise TidemillError(f"{PARAMS_FILE}: {where}.model: {reason}, as {task} does")
        return
    readable = [other[0] for other in kinds if other in accepted[model.name]]
    change = f"; or let {where}.tokenize.unit make {readable[0]}, which {model.name} reads" if readable else ""
    raise TidemillError(
        f"{PARAMS_FILE}: {where}.model: {model.name} cannot do {task}, which goes from {kind[0]} to {kind[1]}; "
        f"these models can: {', '.join(able) or 'none'}{change}"
    )
