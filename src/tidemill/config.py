"""Typed params: the whole of `params.yaml`, checked before any work starts.

Formats, tasks and models are plug-ins found by name: `format: idx` is `tidemill/data/formats/idx.py`,
`task: text_classification` is `tidemill/tasks/text_classification.py`, `model.name: lstm` is the package
`tidemill/models/lstm`. Each declares the params that only it has (`Options`, `Tokenize`, `Params`), so that
adding one touches no other file.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tidemill.errors import TidemillError

PARAMS_FILE = Path("params.yaml")
TRACKING_STORE = Path(".tidemill/mlflow/mlflow.db")
"""MLflow's store in the project, taken unless `MLFLOW_TRACKING_URI` names another."""

Block = TypeVar("Block", bound=BaseModel)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Params(BaseModel):
    """Base of every params block: no unknown keys, no silent conversion of types, frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Member(Params):
    """One file taken out of a downloaded archive."""

    path: str
    """Path inside the archive."""
    sha256: Sha256


class Download(Params):
    """One pinned file to download, tried from each address in order."""

    from_: list[str] = Field(alias="from", min_length=1)
    """`pypi:name==version`, `npm:name@version`, `deb:name=version`, `models:/name/version/…`, `https://…`, `s3://…` or a
    local path."""
    sha256: Sha256 | None
    """null: the file changes with time; a fetch keeps the one that is there, a retraining brings it anew."""
    members: dict[str, Member] | None = None
    """Files to take out of the archive, by the name they get; without it the file itself is kept."""
    name: str | None = None
    """The name the file itself gets, where no members are taken."""


class Source(Params):
    """Where a system's rows come from and how to read them."""

    path: str
    """A file or folder; a stage depends on it."""
    format: str
    """A module of `tidemill/data/formats/`."""
    options: Any = Field(default_factory=dict)
    """What only this format takes: the `Options` its module declares."""
    columns: dict[str, str] = {}
    """Their column name by ours: `{text: review, label: stars}`."""
    lists: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """Our columns whose cells hold several values as one text, and what stands between them: `{labels: ";"}`."""


class Ingest(Params):
    """How rows are cleaned and split."""

    valid: Fraction = 0.1
    """Share of the rows for validation, where the source has no validation rows of its own."""
    test: Fraction = 0.1
    """Share of the rows for the test, where the source has no test rows of its own."""
    near_duplicates: Annotated[float, Field(gt=0, le=1)] | None = 0.9
    """Similarity from which a row counts as a copy of an earlier one; null keeps all but exact copies."""


class Expectation(Params):
    """One further Great Expectations expectation, e.g. `{type: expect_column_values_to_match_regex, …}`."""

    type: str
    kwargs: dict[str, Any] = {}


class Validate(Params):
    """What must hold for the ingested tables, beyond the defaults of the task."""

    minimum_rows: Annotated[int, Field(ge=1)] = 10
    """Rows each split has at least."""
    minimum_share: Fraction = 0.01
    """Share of the rows the rarest class has at least."""
    expectations: list[Expectation] = []


class Schedule(Params):
    """The learning rate over the steps: fixed, exponential decay per epoch, or linear warm-up and cosine."""

    name: Literal["fixed", "decay", "cosine"] = "fixed"
    warmup: Fraction = 0.0
    """Share of all steps over which the rate rises from 0 (cosine only)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Factor after each epoch (decay only)."""
    floor: Fraction = 0.0
    """Share of the learning rate that remains at the end (cosine only)."""


class Training(Params):
    """How the weights are found."""

    epochs: Annotated[int, Field(ge=1)] = 10
    batch: Annotated[int, Field(ge=1)] = 32
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches whose gradients make one step: a larger batch than fits in memory."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    momentum: Fraction = 0.0
    """For sgd only."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Schedule = Schedule()
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest gradient norm; null does not clip."""
    label_smoothing: Fraction = 0.0
    augment: Any = None
    """How training rows are changed from epoch to epoch: the `Augment` that the task's module declares; null, not at all."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better validation loss before training stops early; null never stops early."""
    keep: Literal["last", "best"] = "best"
    """Which epoch's weights leave training: the last, or those of the lowest validation loss."""
    seed: int = 0
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["32", "bf16", "16"] = "32"
    matmul: Literal["highest", "medium"] = "highest"
    """How torch may multiply float32 matrices. `medium` is faster on some CPUs and slower on others; where it measures as
    less exact than float32 (`training/matmul.py`), the training says so and takes `highest`."""
    determinism: Literal["bitwise", "tolerance", "fast"] = "bitwise"
    threads: Annotated[int, Field(ge=1)] = 1
    """CPU threads; part of the result, since sums taken in another order end in other bits. One is best for small
    networks and leaves the other cores to other stages."""
    save_every: Annotated[int, Field(ge=1)] = 200
    """Steps between two checkpoints: what a kill can cost."""
    log_every: Annotated[int, Field(ge=1)] = 20
    """Steps between two points of the training curve."""


class Evaluate(Params):
    """How the model is measured."""

    resamples: Annotated[int, Field(ge=100)] = 1000
    """Bootstrap resamples behind each confidence interval."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    seed: int = 0
    behaviours: list[Any] = []
    """Changes of test rows that only this data knows, beside those that the task tries anyway: the `Behaviour` that its
    module declares."""


class Gates(Params):
    """What a candidate must reach to become a challenger."""

    thresholds: dict[str, float] = {}
    """Lowest allowed value of a metric of `evaluation.json`, e.g. `{accuracy: 0.98}`, or share of rows that behaved as
    they must, e.g. `{behaviour.white_space: 0.95}`."""
    ceilings: dict[str, float] = {}
    """Highest allowed value, e.g. `{calibration_error: 0.1}`."""
    slices: float | None = None
    """Lowest allowed value of the main metric on every slice of `evaluation.json`, e.g. on the longest texts."""
    latency_ms: Annotated[float, Field(gt=0)] | None = None
    """Milliseconds within which 95 of 100 single rows are answered, by `latency.json`."""
    size_mb: Annotated[float, Field(gt=0)] | None = None
    """Largest size of the weights, in megabytes of 1,000,000 bytes."""
    metric: str | None = None
    """The metric by which it must not be worse than the champion; null takes the task's main metric."""
    margin: Annotated[float, Field(ge=0)] = 0.0
    """How much worse than the champion still counts as not worse."""


Number = int | float


class Axis(Params):
    """What a sweep may do with one param: a range, or a list of choices."""

    low: Number | None = None
    high: Number | None = None
    log: bool = False
    """Whether the range is even in its logarithm."""
    step: Number | None = None
    points: Annotated[int, Field(ge=2)] = 3
    """Values that the grid takes of a range without a step."""
    choices: list[Any] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Axis":
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give either low and high, or choices")
        low, high = self.low, self.high
        if low is not None and high is not None and (low >= high or (self.log and low <= 0)):
            raise ValueError("low must be below high, and above 0 where log is set")
        return self


class Sweep(Params):
    """How better params are looked for."""

    space: dict[str, Axis] = Field(min_length=1)
    """By the path inside the system: `training.lr`, `model.hidden`. Trials share what stands before the training."""
    sampler: Literal["grid", "random", "tpe", "genetic", "cmaes", "swarm", "annealing"] = "tpe"
    trials: Annotated[int, Field(ge=1)] = 20
    metric: str = "val/loss"
    """A metric of the validation rows; the test rows decide nothing here."""
    direction: Literal["minimize", "maximize"] = "minimize"
    population: Annotated[int, Field(ge=2)] = 8
    """Settings of a generation (genetic), particles (swarm)."""
    prune: bool = True
    """Whether a trial ends that is worse than the median of the others at the same epoch."""
    seed: int = 0


class Monitor(Params):
    """How far new inputs may be from those of the training before somebody is told."""

    sample: Annotated[int, Field(ge=50)] = 1000
    """New rows that are looked at, at most, and rows of the version's own that they are compared with."""
    distance: Annotated[float, Field(gt=0)] = 0.2
    """Largest distance of a column's distribution from that of the version's own rows: normed Wasserstein for numbers,
    Jensen-Shannon for classes."""
    accuracy_drop: Fraction = 0.05
    """How far the main metric may fall below that of the test, where new rows have labels."""
    retrain: bool = False
    """Whether the retrain deployment is started when a limit is passed, once for the same new data."""


class System(Params):
    """One named model that somebody wants to keep improving.

    Every part must be there, if only as `{}`: DVC can watch a param for changes only where it stands.
    """

    task: str
    source: Source
    ingest: Ingest
    validate_: Validate = Field(alias="validate")
    tokenize: Any
    """What only this task takes: the `Tokenize` its module declares."""
    model: Any
    """`name`, and the `Params` that model's package declares."""
    training: Training
    evaluate: Evaluate
    gates: Gates
    sweep: Sweep | None = None
    """Optional: no stage reads it."""
    monitor: Monitor | None = None
    """Optional: no stage reads it."""


class Project(Params):
    """The whole of `params.yaml`."""

    sources: dict[Name, list[Download]] = {}
    """What `tidemill fetch` brings, by the folder under `data/` it goes to."""
    systems: dict[Name, System]
    presets: dict[Name, System] = {}
    """Other settings, whole like systems, which no stage runs: `tidemill new NAME --preset PRESET` makes one a system."""


def load_project(path: Path = PARAMS_FILE) -> Project:
    """Read and check all params.

    Raises:
        TidemillError: the file is missing or is not YAML, or a param is unknown, missing or of a wrong type;
            every mistake is named with its path and, for a misspelt name, the nearest valid one.
    """
    raw = read_yaml(path)
    project = _checked(Project, raw, "")
    blocks = {"systems": project.systems, "presets": project.presets}
    checked = {
        part: {name: _with_plugins(f"{part}.{name}", system) for name, system in systems.items()}
        for part, systems in blocks.items()
    }
    return project.model_copy(update=checked)


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
    """The system with other values at dotted paths (`training.lr`), checked as if they stood in params.yaml."""
    raw = system.model_dump(mode="json", by_alias=True, exclude_none=True)
    for path, value in values.items():
        *blocks, param = path.split(".")
        block = raw
        for part in blocks:
            block = block.setdefault(part, {})
        block[param] = value
    where = f"systems.{name}"
    return _with_plugins(where, _checked(System, raw, where))


def plugin_names(room: str) -> list[str]:
    """Names of the plug-ins in a room, e.g. `plugin_names("tidemill.tasks")`."""
    package = importlib.import_module(room)
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


def read_yaml(path: Path) -> Any:
    """A YAML file as plain values.

    Raises:
        TidemillError: the file is missing or is not YAML.
    """
    from ruamel.yaml import YAML  # YAML 1.2, as DVC reads it: `1e-3` is a number
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TidemillError(f"{path} is missing: run this from the folder that holds it") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise TidemillError(f"{path} is not YAML: {' '.join(str(error).split())}") from error


def _with_plugins(where: str, system: System) -> System:
    """The system with the params of its format, task and model checked by those themselves."""
    format_ = _plugin("tidemill.data.formats", system.source.format, f"{where}.source.format")
    task = _plugin("tidemill.tasks", system.task, f"{where}.task")
    if not isinstance(system.model, dict) or "name" not in system.model:
        raise TidemillError(f"{PARAMS_FILE}: {where}.model needs a name, e.g. `model: {{name: mlp}}`")
    model = _plugin("tidemill.models", system.model["name"], f"{where}.model.name")
    source = system.source.model_copy(
        update={"options": _checked(format_.Options, system.source.options, f"{where}.source.options")}
    )
    training = system.training
    if training.augment is not None:
        block = getattr(task, "Augment", Params)
        augment = _checked(block, training.augment, f"{where}.training.augment")
        training = training.model_copy(update={"augment": augment})
    behaviours = [
        _checked(task.Behaviour, behaviour, f"{where}.evaluate.behaviours.{number}")
        for number, behaviour in enumerate(system.evaluate.behaviours)
    ]
    return system.model_copy(
        update={
            "source": source,
            "training": training,
            "evaluate": system.evaluate.model_copy(update={"behaviours": behaviours}),
            "tokenize": _checked(task.Tokenize, system.tokenize, f"{where}.tokenize"),
            "model": _checked(model.Params, system.model, f"{where}.model"),
        }
    )


def _plugin(room: str, name: str, where: str) -> Any:
    names = plugin_names(room)
    if name not in names:
        raise TidemillError(f"{PARAMS_FILE}: {where}: no {name!r}{nearest(name, names)}")
    return importlib.import_module(f"{room}.{name}")


def _checked(block: type[Block], value: Any, where: str) -> Block:
    try:
        return block.model_validate(value)
    except ValidationError as error:
        mistakes = [_mistake(block, dict(detail), where) for detail in error.errors()]
        raise TidemillError(f"{PARAMS_FILE}: " + "; ".join(mistakes)) from error


def _mistake(block: type[BaseModel], detail: dict[str, Any], where: str) -> str:
    location = [str(part) for part in detail["loc"]]
    path = ".".join(([where] if where else []) + location) or "the file"
    if detail["type"] == "extra_forbidden":
        return f"{path}: no such param{nearest(location[-1], _known_names(block, location[:-1]))}"
    if detail["type"] == "missing":
        return f"{path} is missing (write `{location[-1]}: {{}}` where its defaults will do)"
    return f"{path}: {detail['msg'][0].lower()}{detail['msg'][1:]}, not {detail['input']!r}"


def _known_names(block: type[BaseModel], location: list[str]) -> list[str]:
    """Names allowed at a place in a block, followed through its fields."""
    blocks = [block]
    for part in location:
        fields = [field for kind in blocks for name, field in kind.model_fields.items() if part in (name, field.alias)]
        # a place in a list or the name of a system is no field: what is allowed there is known already
        blocks = [inner for field in fields for inner in _blocks(field.annotation)] or blocks
    return [field.alias or name for kind in blocks for name, field in kind.model_fields.items()]


def _blocks(annotation: Any) -> list[type[BaseModel]]:
    """The blocks that a type may hold: itself, or inside a union, list or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in _blocks(part)]


def nearest(name: str, names: Iterable[str]) -> str:
    """What to add to a sentence about an unknown name: the one that was meant, or all there are."""
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(names))}"
