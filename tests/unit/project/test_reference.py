"""The reference of the params is made from the code, and its schema finds the mistakes that an editor should show."""

import copy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.projects import ROOT
from tidemill.core.params import Params, read_yaml
from tidemill.project import reference, schema


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    made = schema.schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    params: dict[str, Any] = read_yaml(ROOT / "params.yaml")
    return params


def test_the_committed_files_are_what_the_code_makes(tmp_path: Path) -> None:
    reference.main(tmp_path)
    stale = [
        made.name
        for made in sorted(tmp_path.iterdir())
        if made.read_bytes() != (ROOT / reference.FOLDER / made.name).read_bytes()
    ]
    assert stale == [], "run `make docs`"


def test_every_param_says_what_it_means() -> None:
    for block in schema.all_blocks():
        silent = block.model_fields.keys() - schema.meanings(block).keys() - {"name"}
        assert silent == set(), f"{block.__module__}.{block.__name__}"


def test_a_meaning_is_the_docstring_under_the_field_the_last_one_in_a_line_of_classes() -> None:
    class Above(Params):
        one: int = 0
        """The
        first."""
        two: int = 0

    class Below(Above):
        one: int = 1
        """Another."""
        three: int = 0
        """The third."""

    assert schema.meanings(Above) == {"one": "The first."}
    assert schema.meanings(Below) == {"one": "Another.", "three": "The third."}


def test_the_shipped_params_fit_the_schema(validator: Draft202012Validator, shipped: dict[str, Any]) -> None:
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(shipped)] == []


def test_editors_find_the_schema() -> None:
    first = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=docs/reference/params.schema.json"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("systems.digits.trainig", {}),
        ("systems.digits.training.learning_rate", 0.1),
        ("systems.digits.training.epochs", 0),
        ("systems.digits.training.epochs", "20"),
        ("systems.digits.training.augment", {"mixup": -1.0}),
        ("systems.sentiment.training.augment", {"mixup": 1.0}),
        ("systems.digits.task", "image_clasification"),
        ("systems.digits.model", {"name": "lstm"}),
        ("systems.digits.model", {"name": "mlp", "embedding": 50}),
        ("systems.digits.model", {"hidden": [512]}),
        ("systems.digits.source.format", "idex"),
        ("systems.digits.source.options", {"delimiter": ","}),
        ("systems.digits.source.options", {}),
        ("systems.digits.tokenize", {"unit": "words"}),
        ("systems.digits.evaluate.probes", [{"name": "a town swapped", "replace": {"Paris": "London"}}]),
        ("systems.sentiment.evaluate.probes", [{"prepend": "!"}]),
        ("systems.digits.sweep.sampler", "magic"),
        ("systems.digits.gates", None),
        ("systems.x; touch f", {}),
        ("presets.digits_small.gates.threshold", 1),
        ("sources.mnist", [{"from": [], "sha256": None}]),
        ("sources.mnist", [{"from": ["npm:a@1"], "sha256": "short"}]),
        ("settings", {}),
    ],
)
def test_the_schema_finds_a_mistake(
    validator: Draft202012Validator, shipped: dict[str, Any], path: str, value: Any
) -> None:
    params = copy.deepcopy(shipped)
    *blocks, name = path.split(".")
    block = params
    for part in blocks:
        block = block[part]
    block[name] = value
    assert not validator.is_valid(params)


@pytest.mark.parametrize("block", ["source", "ingest", "tokenize", "model", "training", "evaluate", "gates"])
def test_the_schema_wants_every_block(validator: Draft202012Validator, shipped: dict[str, Any], block: str) -> None:
    params = copy.deepcopy(shipped)
    del params["systems"]["digits"][block]
    assert not validator.is_valid(params)


def test_the_page_has_every_plug_in_and_links_that_lead_somewhere() -> None:
    page = reference.page()
    headings = [line.lstrip("# ") for line in page.splitlines() if line.startswith("##")]
    for expected in ("source.options: csv", "model: gpt2", "tokenize: text_generation", "gates", "sweep", "monitor"):
        assert expected in headings
    anchors = {reference._anchor(heading) for heading in headings}
    assert len(anchors) == len(headings)
    linked = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert linked - anchors == set()
    assert "| `lr` | number | > 0 | `0.001` |" in page
