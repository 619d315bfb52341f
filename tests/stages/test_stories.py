"""A small storyteller through its stages: what it learns, how it continues odd prompts, and what its report shows."""

import json
import random
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.exceptions import MlflowException
from tokenizers import Tokenizer
from typer.testing import CliRunner

from tests.stages.in_process import run_stages, write_system
from tidemill.cli import app
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.inference.predictor import Predictor
from tidemill.serving.live import Live
from tidemill.serving.params import Serve
from tidemill.serving.service import application

ROOT = Path(__file__).parents[2]
SOUNDS = {"dog": "woof", "cat": "meow", "cow": "moo", "duck": "quack", "sheep": "baa"}
NAMES = ["Anna", "Bela", "Carl", "Dora", "Egon", "Faye", "Gus", "Hana"]
PLACES = ["barn", "town", "garden", "river", "wood"]
SYSTEM: dict[str, Any] = {
    "task": "text_generation",
    "source": {"path": "raw", "format": "json_records", "options": {"text": "{title}\n\n{lines}"}},
    "ingest": {"valid": 0.1, "test": 0.1, "near_duplicates": None},
    "validate": {},
    "tokenize": {"vocabulary": 400, "length": 32},
    "model": {"name": "gpt2", "width": 64, "heads": 4, "layers": 2, "dropout": 0.0},
    "training": {
        "epochs": 8,
        "batch": 8,
        "optimizer": "adamw",
        "lr": 0.003,
        "schedule": {"name": "cosine", "warmup": 0.1},
        "threads": 1,
    },
    "evaluate": {
        "resamples": 100,
        "recitation": {"texts": 8, "tokens": 50, "least": 20},
        "probes": [
            {"name": "a name swapped", "replace": dict(zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True))},
            {"name": "another sound", "replace": {"woof": "meow", "moo": "quack"}, "raises": "bits_per_byte"},
        ],
    },
    "gates": {"thresholds": {"compression": 4.0}},
}


def story(chance: random.Random) -> dict[str, Any]:
    """Sentences about some animals, each of which says the same in every story."""
    name, place = chance.choice(NAMES), chance.choice(PLACES)
    animals = [chance.choice(list(SOUNDS)) for _ in range(chance.randint(2, 6))]
    lines = [f"{name} hears the {animal} say {SOUNDS[animal]}." for animal in animals]
    return {"title": f"{name} in the {place}", "lines": lines}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose storyteller went through all stages up to its evaluation."""
    folder = tmp_path_factory.mktemp("stories")
    chance = random.Random(0)
    stories = [story(chance) for _ in range(700)]
    stories += [{"title": "no lines"}, stories[0]]
    (folder / "raw").mkdir()
    (folder / "raw" / "stories.json").write_text(json.dumps(stories), encoding="utf-8")
    write_system(folder, "stories", SYSTEM)
    return run_stages(folder, "stories")


@pytest.fixture(scope="module")
def predictor(made: Path) -> Predictor:
    return Predictor(made / "train" / "model")


def continued(predictor: Predictor, prompt: str, **options: Any) -> str:
    """The likeliest continuation of a prompt, whose probability must be one."""
    (row,) = predictor.predict([prompt], **{"temperature": 0.0, "new_tokens": 12, **options}).to_dict("records")
    assert 0 < row["confidence"] <= 1
    return str(row["prediction"])


def test_it_learned_more_than_its_baselines(made: Path) -> None:
    evaluation = read_json(made / "evaluate" / "evaluation.json")
    assert evaluation["main_metric"] == "compression"
    assert evaluation["metrics"]["perplexity"]["value"] < 4
    assert evaluation["difference_to_compressor"]["low"] > 0
    assert set(evaluation["baselines"]["n-gram"]) == {"compression", "bits_per_byte"}


def test_unusable_and_repeated_texts_are_rejected_with_the_reason(made: Path) -> None:
    rejected = pd.read_parquet(made / "ingest" / "rejected.parquet")
    assert "no field 'lines'" in set(rejected["reason"]) and "exact copy" in set(rejected["reason"])


def test_each_test_text_has_its_likelihood(made: Path) -> None:
    rows, predictions = (
        pd.read_parquet(made / part) for part in ("ingest/test.parquet", "evaluate/predictions.parquet")
    )
    assert predictions["id"].tolist() == rows["id"].tolist()
    assert predictions["bytes"].tolist() == [len(text.encode()) for text in rows["text"]]
    assert (predictions["nll"] > 0).all() and (predictions["tokens"] > 0).all()


def test_the_report_and_the_card_show_texts(made: Path) -> None:
    page = (made / "evaluate" / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("bits per byte", "compressor baseline", "n-gram baseline"))
    assert "<h2>Classes</h2>" not in page
    assert "compression" in (made / "evaluate" / "model-card.md").read_text(encoding="utf-8")


def test_what_it_recites_stands_in_the_training_texts(made: Path, predictor: Predictor) -> None:
    found = read_json(made / "evaluate" / "evaluation.json")["recitation"]
    train = pd.read_parquet(made / "ingest" / "train.parquet")
    prompts = train.sample(8, random_state=0).sort_index()["text"].str[:100].tolist()
    generated = predictor.predict(prompts, new_tokens=50)["prediction"]
    tokenizer = Tokenizer.from_file(str(made / "train" / "model" / "tokenizer.json"))
    known, spoken = ([tokenizer.encode(text).ids for text in texts] for texts in (train["text"], generated))
    runs = {tuple(ids[start : start + 20]) for ids in known for start in range(len(ids) - 19)}
    recited = 0
    for ids in spoken:
        starts = [start for start in range(len(ids) - 19) if tuple(ids[start : start + 20]) in runs]
        recited += len({place for start in starts for place in range(start, start + 20)})
    assert found["verbatim"]["value"] == pytest.approx(recited / sum(map(len, spoken)), abs=1e-6)
    assert found["texts"] == 8 and found["least"] == 20
    page = (made / "evaluate" / "report.html").read_text(encoding="utf-8")
    assert "What it recites of its training texts" in page


def test_the_probes_pass(made: Path) -> None:
    found = {entry["name"]: entry for entry in read_json(made / "evaluate" / "evaluation.json")["probes"]}
    shares = {name: entry["passed"]["value"] for name, entry in found.items()}
    edge = ["empty", "short", "very long", "another script", "the token between texts"]
    assert [shares[name] for name in ("Windows line ends", "words in another order", *edge)] == [1.0] * 7
    assert shares["a name swapped"] >= 0.8 and shares["another sound"] >= 0.9
    assert found["another sound"]["expects"] == "less likely"
    assert "bits a byte" in (made / "evaluate" / "report.html").read_text(encoding="utf-8")


class TestInvariance:
    """What must not change a continuation."""

    def test_the_rows_beside_it(self, predictor: Predictor) -> None:
        prompts = ["Anna hears the dog say woof.", "Dora in the", "", "Gus hears the cow"]
        together = predictor.predict(prompts, seed=3)["prediction"].tolist()
        assert together == [predictor.predict([prompt], seed=3)["prediction"][0] for prompt in prompts]

    def test_line_ends_and_a_byte_order_mark(self, predictor: Predictor) -> None:
        with_them = continued(predictor, "\ufeffAnna in the barn\r\n\r\nAnna hears")
        assert with_them == continued(predictor, "Anna in the barn\n\nAnna hears")

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_swapped(self, predictor: Predictor, name: str) -> None:
        assert continued(predictor, f"{name} in the barn\n\n{name} hears the cat say").startswith(" meow.")


class TestDirection:
    """What must change a continuation."""

    @pytest.mark.parametrize(("animal", "sound"), SOUNDS.items())
    def test_another_animal_says_something_else(self, predictor: Predictor, animal: str, sound: str) -> None:
        assert continued(predictor, f"Carl in the wood\n\nCarl hears the {animal} say").startswith(f" {sound}.")

    def test_another_seed_gives_another_story(self, predictor: Predictor) -> None:
        found = {continued(predictor, "Anna", temperature=1.0, new_tokens=40, seed=seed) for seed in range(4)}
        assert len(found) > 1


class TestMinimumFunction:
    """Odd prompts are continued, never an error. `continued` itself checks that."""

    @pytest.mark.parametrize(
        "prompt",
        ["", " ", "Anna", "Anna hears the dog say woof. " * 500, "秦川雄帝宅，", "שלום 🏠🏠", "<|endoftext|>", "\0"],
        ids=["empty", "blank", "short", "very long", "Chinese", "right to left", "the token between texts", "control"],
    )
    def test_it_continues(self, predictor: Predictor, prompt: str) -> None:
        continued(predictor, prompt)

    def test_it_stops_where_asked(self, predictor: Predictor) -> None:
        assert "." not in continued(predictor, "Anna hears", stop=["."])

    @pytest.mark.parametrize(
        "options", [{"temprature": 1.0}, {"temperature": -1.0}, {"top_p": 0.0}, {"new_tokens": 0}], ids=str
    )
    def test_a_wrong_option_is_named(self, predictor: Predictor, options: dict[str, float]) -> None:
        (name,) = options
        with pytest.raises(TidemillError, match=f"the option '{name}'.*there are: new_tokens, temperature"):
            predictor.predict(["Anna"], **options)


class TestRegistered:
    """Once registered, it takes the options of a request on every way."""

    PROMPT = "Carl in the wood\n\nCarl hears the cow say"

    @pytest.fixture(scope="class")
    def project(self, made: Path) -> Path:
        project = made.parents[1]
        (project / "requirements").symlink_to(ROOT / "requirements")
        run_stages(project, "stories", "register")
        return project

    @pytest.fixture(autouse=True)
    def _inside(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.chdir(project)

    def test_by_mlflow(self, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///.tidemill/mlflow/mlflow.db")
        model = mlflow.pyfunc.load_model("models:/stories@challenger")
        for options in (
            {"temperature": 0.0, "new_tokens": 5, "stop": ["."]},
            {"seed": 3, "top_k": 2, "top_p": 0.5},
            {},
        ):
            (found,) = model.predict({"text": [self.PROMPT]}, params=options)["prediction"]
            (expected,) = predictor.predict([self.PROMPT], **options)["prediction"]
            assert found == expected
        with pytest.raises(MlflowException, match="temperature"):
            model.predict({"text": ["Anna"]}, params={"temperature": "warm"})
        with pytest.raises(TidemillError, match="the option 'temperature'"):
            model.predict({"text": ["Anna"]}, params={"temperature": -1.0})

    def test_by_the_command_line(self, tmp_path: Path, predictor: Predictor) -> None:
        prompts = tmp_path / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"text": self.PROMPT + tail}) + "\n" for tail in ("", " moo.")))
        command = ["predict", "models:/stories@challenger", str(prompts), "--option", "temperature=0"]
        done = CliRunner().invoke(app, [*command, "--option", "new_tokens=6", "--option", 'stop=["."]'])
        assert done.exit_code == 0, done.output
        found = pd.read_json(tmp_path / "prompts.predictions.jsonl", lines=True)["prediction"]
        rows = pd.read_json(prompts, lines=True)
        expected = predictor.predict(rows, temperature=0.0, new_tokens=6, stop=["."])["prediction"]
        assert list(found) == list(expected) and found[0] == " moo"

    def test_one_row_on_the_command_line(self, predictor: Predictor) -> None:
        options = ["--option", "temperature=0", "--option", "new_tokens=6"]
        command = ["ask", "models:/stories@challenger", self.PROMPT, *options]
        expected = continued(predictor, self.PROMPT, new_tokens=6)
        assert CliRunner().invoke(app, command).output == f"{expected}\n"
        assert json.loads(CliRunner().invoke(app, [*command, "--json"]).output)["prediction"] == expected
        wrong = CliRunner().invoke(app, [*command, "a second text"])
        assert str(wrong.exception) == "error: it takes 1 values, text; there are 2"

    def test_over_http_piece_by_piece(self, predictor: Predictor) -> None:
        request = {"rows": [{"text": self.PROMPT}], "options": {"temperature": 0, "new_tokens": 6}}
        expected = continued(predictor, self.PROMPT, new_tokens=6)
        live = Live("models:/stories@challenger", print)
        with TestClient(application(live, None, Serve(), refresh=60), base_url="http://127.0.0.1") as client:
            assert client.get("/health").json()["options"]["temperature"] == 0.8
            assert client.post("/predict", json=request).json()["answers"][0]["prediction"] == expected
            with client.stream("POST", "/stream", json=request) as response:
                pieces = list(response.iter_text())
            assert "".join(pieces) == expected
            wrong = client.post("/stream", json={**request, "options": {"temperature": -1}})
            assert wrong.status_code == 422 and "the option 'temperature'" in wrong.json()["detail"]
            two = client.post("/stream", json={"rows": [{"text": "a"}, {"text": "b"}]})
            assert two.status_code == 422 and "one row at a time" in two.json()["detail"]

    @pytest.mark.parametrize(
        ("option", "message"),
        [("warmth=1", "the option 'warmth'"), ("temperature", "is not NAME=VALUE"), ("stop=[", "is not NAME=VALUE")],
    )
    def test_a_wrong_option_on_the_command_line(self, tmp_path: Path, option: str, message: str) -> None:
        prompts = tmp_path / "prompts.csv"
        prompts.write_text("text\nAnna\n")
        done = CliRunner().invoke(app, ["predict", "models:/stories@challenger", str(prompts), "--option", option])
        error = str(done.exception)
        assert error.startswith("error: ") and message in error and "\n" not in error
        assert [path.name for path in tmp_path.iterdir()] == ["prompts.csv"]
