"""What `tidemill new` chooses for a newcomer's data and what that reaches, beside scikit-learn, FLAML and AutoGluon.

    python benchmarks/new_beside_others.py --sets iris,novels --flaml FLAML/bin/python --autogluon AUTOGLUON/bin/python

FLAML (`flaml[automl] pyarrow`) and AutoGluon (`autogluon.tabular[lightgbm,xgboost,catboost]`) need environments of their
own; one without an interpreter is left out. All ways see the same training rows, have one thread and are measured on the
same test rows: accuracy of labels, R² of numbers, with 95 % intervals; differences are paired.

- tidemill: `tidemill new --source` with its defaults, the trials included, then training on all rows;
- majority: the commonest label, or the mean;
- scikit-learn: the best of three pipelines, by the test rows, which flatters it;
- FLAML, AutoGluon: as long as Tidemill took, but `--least` seconds at least. AutoGluon reads texts as they are and makes
  n-grams of them; FLAML gets TF-IDF in 100 dimensions; both get the values of the pixels.

Every way runs in a process of its own, whose wall time and peak memory are in the table. Results are kept as JSON lines
(`--results`) and not measured again; without `--sets` the table of all that are there is printed.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sets import SETS, TABLES, Set, rows
from timing import ROOT

from tidemill.core.intervals import Bootstrap, Interval, intervals, paired_difference

BUDGET = 180
"""Seconds: the default of `tidemill new --budget`."""
DIMENSIONS = 100
OTHERS = ("scikit-learn", "flaml", "autogluon")
Result = dict[str, Any]
Results = dict[tuple[str, str], Result]


def main() -> None:
    """Measure what has not been measured, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="", help=f"separated by commas, of {', '.join(SETS)}")
    parser.add_argument("--results", type=Path, default=TABLES / "new_beside_others.jsonl")
    parser.add_argument("--least", type=float, default=30)
    parser.add_argument("--again", default="", help="ways to be measured again, separated by commas, e.g. tidemill")
    for way in ("flaml", "autogluon"):
        parser.add_argument(f"--{way}", type=Path, help="the Python that has it")
    arguments = parser.parse_args()
    found = _read(arguments.results)
    for name in filter(None, arguments.sets.split(",")):
        _measure(name, found, arguments)
    names = [name for name in SETS if (name, "tidemill") in found]
    print(*_table(names, found), sep="\n")


def _measure(name: str, found: Results, arguments: argparse.Namespace) -> None:
    again = arguments.again.split(",")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = rows(name)
        table.to_parquet(folder / "rows.parquet", index=False)
        truth = table.loc[table["split"] == "test", SETS[name].target].tolist()
        for way in ("tidemill", "majority", *OTHERS):
            python = getattr(arguments, way, None)
            if ((name, way) in found and way not in again) or (way in ("flaml", "autogluon") and python is None):
                continue
            command = [sys.executable, __file__, "--way", way, name, str(folder)]
            if python:
                seconds = max(arguments.least, found[name, "tidemill"]["seconds"])
                _write_for_automl(way, name, table, folder)
                script = str(Path(__file__).with_name("peers") / "automl.py")
                command = [str(python), script, way, str(folder), SETS[name].target, str(seconds)]
            result = _run(command, folder) | {"set": name, "way": way, "truth": truth}
            found[name, way] = result
            arguments.results.parent.mkdir(parents=True, exist_ok=True)
            with arguments.results.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(result, ensure_ascii=False) + "\n")
            print(f"{name}: {way}: {_score(result)['value']:.4f}, {result['chosen']}", file=sys.stderr, flush=True)


def _run(command: list[str], folder: Path) -> Result:
    """Run a way in a process of its own; return its predictions, seconds, and peak memory in MB."""
    started = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    said = child.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said[-3000:]}")
    result: Result = json.loads((folder / "predictions.json").read_text())
    return result | {"seconds": time.monotonic() - started, "memory": usage.ru_maxrss / 1024}


def _way(way: str, name: str, folder: Path) -> None:
    """Fit one way and write its predictions; runs in a process of its own."""
    table, chosen = pd.read_parquet(folder / "rows.parquet"), SETS[name]
    if way == "tidemill":
        result = _tidemill(table, chosen, folder)
    else:
        train, test = (
            table[table["split"] == split].drop(columns="split").reset_index(drop=True) for split in ("train", "test")
        )
        result = _majority(train, test, chosen) if way == "majority" else _scikit_learn(train, test, chosen)
    (folder / "predictions.json").write_text(json.dumps(result))


def _tidemill(table: pd.DataFrame, chosen: Set, folder: Path) -> Result:
    """Do what `tidemill new` and the stages do, in a project beside this one with the same pinned weights."""
    from tidemill.core.params import read_system
    from tidemill.formats.common.source import read_rows
    from tidemill.onboarding import new
    from tidemill.project.params import load_system

    project = folder / "project"
    project.mkdir()
    shutil.copyfile(ROOT / "params.yaml", project / "params.yaml")
    (project / "data").symlink_to(ROOT / "data")
    os.chdir(project)
    source = Path("rows.parquet" if chosen.kind == "pictures" else "rows.csv")
    table.to_parquet(source) if chosen.kind == "pictures" else table.to_csv(source, index=False)
    proposal = new.propose("own", None, str(source), BUDGET)
    new.write(proposal)
    system = read_system("own")
    read = read_rows(load_system("own").source)
    predictions = _trained(system, read, Path("model"))
    best = next(line for line in proposal.lines if line.startswith("chosen: "))
    return {"chosen": best.removeprefix("chosen: "), "predictions": predictions}


def _trained(system: dict[str, Any], read: pd.DataFrame, folder: Path) -> list[Any]:
    """Ingest, encode, train and predict as the stages do; return a prediction for each test row of the source."""
    from tidemill.core.params import read_block
    from tidemill.inference.predictor import Predictor
    from tidemill.models.common import networks
    from tidemill.models.common.params import read_model
    from tidemill.rows.cleaning import ingested
    from tidemill.rows.params import Ingest
    from tidemill.tasks.common import encoding, learning
    from tidemill.tasks.common import rows as task_rows
    from tidemill.training import determinism, saving
    from tidemill.training.params import read_training
    from tidemill.training.run import train_system

    task, model = system["task"], read_model(system, "own")
    kept, _ = ingested(read, task_rows.of(task), read_block(system, "own", "ingest", Ingest))
    folder.mkdir()
    paths = {split: folder / f"{split}.parquet" for split in ("train", "valid", "test")}
    for split, path in paths.items():
        kept[kept["split"] == split].drop(columns="split").to_parquet(path, index=False)
    params = read_block(system, "own", "tokenize", encoding.of(task).Tokenize)
    spec = encoding.write_tokens(task, params, paths, folder)
    solved = networks.is_solved(model.name)
    training = determinism.with_precision(read_training(system, "own", learning.of(task), solved))
    with redirect_stdout(io.StringIO()):
        outcome = train_system(
            task, model, training, spec, folder, folder / "checkpoints", lambda points: None, folder / "features"
        )
    saving.save_model(folder / "model", outcome, task, model, training, spec, folder / networks.TOKENIZER)
    found: list[Any] = Predictor(folder / "model").predict(read[read["split"] == "test"])["prediction"].tolist()
    return found


def _majority(train: pd.DataFrame, test: pd.DataFrame, chosen: Set) -> Result:
    target = train[chosen.target]
    value = target.mode()[0] if chosen.target == "label" else target.mean()
    return {"chosen": "", "predictions": [value.item() if hasattr(value, "item") else value] * len(test)}


def _scikit_learn(train: pd.DataFrame, test: pd.DataFrame, chosen: Set) -> Result:
    """Return the best of three pipelines, by the test rows."""
    best, highest = {}, -np.inf
    features = {"text": _texts, "pictures": _pixels, "table": _columns}[chosen.kind]
    pipelines = {"text": _of_texts, "pictures": _of_pictures, "table": _of_columns}[chosen.kind]
    inputs, tested = features(train, chosen), features(test, chosen)
    for name, pipeline in pipelines(chosen, train).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictions = pipeline.fit(inputs, train[chosen.target]).predict(tested).tolist()
        result = {"chosen": name, "predictions": predictions}
        score = _score(result | {"truth": test[chosen.target].tolist(), "set": ""}, chosen.target)["value"]
        if score > highest:
            best, highest = result, score
    return best


def _texts(table: pd.DataFrame, chosen: Set) -> Any:
    return table["text"]


def _columns(table: pd.DataFrame, chosen: Set) -> Any:
    return table.drop(columns=chosen.target)


def _pixels(table: pd.DataFrame, chosen: Set) -> Any:
    from tidemill.core.pictures import decoded

    return np.stack([np.asarray(decoded(image)).ravel() for image in table["image"]])


def _of_texts(chosen: Set, train: pd.DataFrame) -> dict[str, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    def words() -> Any:
        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)

    def characters() -> Any:
        return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2)

    return {
        "words and characters, linear SVM": make_pipeline(make_union(words(), characters()), LinearSVC(random_state=0)),
        "characters, logistic regression": make_pipeline(characters(), LogisticRegression(C=10, max_iter=300)),
        "words and characters, naive Bayes": make_pipeline(make_union(words(), characters()), ComplementNB()),
    }


def _of_pictures(chosen: Set, train: pd.DataFrame) -> dict[str, Any]:
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return {
        "PCA, support vector machine": make_pipeline(PCA(80, random_state=0), StandardScaler(), SVC(C=5)),
        "random forest": RandomForestClassifier(200, random_state=0),
        "PCA, logistic regression": make_pipeline(PCA(80, random_state=0), StandardScaler(), LogisticRegression()),
    }


def _of_columns(chosen: Set, train: pd.DataFrame) -> dict[str, Any]:
    from sklearn import ensemble
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    def prepared() -> Any:
        return make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), make_column_selector(dtype_exclude="number")),
        )

    if chosen.target == "label":
        models: dict[str, Any] = {
            "gradient boosting": ensemble.HistGradientBoostingClassifier(random_state=0),
            "random forest": ensemble.RandomForestClassifier(300, random_state=0),
            "logistic regression": LogisticRegressionCV(max_iter=500),
        }
    else:
        models = {
            "gradient boosting": ensemble.HistGradientBoostingRegressor(random_state=0),
            "random forest": ensemble.RandomForestRegressor(100, random_state=0),
            "ridge": RidgeCV(np.logspace(-2, 3, 20)),
        }
    return {name: make_pipeline(prepared(), model) for name, model in models.items()}


def _write_for_automl(way: str, name: str, table: pd.DataFrame, folder: Path) -> None:
    """Write the rows as that library reads them."""
    chosen = SETS[name]
    inputs = table.drop(columns=[chosen.target, "split"])
    if chosen.kind == "pictures":
        inputs = pd.DataFrame(_pixels(table, chosen)).add_prefix("pixel_")
    elif chosen.kind == "text" and way == "flaml":
        inputs = _dense(table)
    inputs = inputs.assign(**{chosen.target: table[chosen.target]})
    for split in ("train", "test"):
        inputs[table["split"] == split].reset_index(drop=True).to_parquet(folder / f"{split}.parquet", index=False)


def _dense(table: pd.DataFrame) -> pd.DataFrame:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, min_df=2, max_features=100_000),
        TruncatedSVD(DIMENSIONS, random_state=0),
    )
    pipeline.fit(table.loc[table["split"] == "train", "text"])
    return pd.DataFrame(pipeline.transform(table["text"])).add_prefix("dimension_")


def _read(path: Path) -> Results:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = map(json.loads, lines)
    return {(result["set"], result["way"]): result for result in found}


def _table(names: list[str], found: Results) -> list[str]:
    """Return the results as a table in Markdown."""
    lines = [
        "| set | rows | majority | scikit-learn | FLAML | AutoGluon | Tidemill | to the best of them | seconds | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        own, others = found[name, "tidemill"], [found[name, way] for way in OTHERS if (name, way) in found]
        cells = [name, f"{len(own['truth']):,} tested", _cell(found.get((name, "majority")))]
        cells += [_cell(found.get((name, way))) for way in OTHERS]
        interval = _score(own)
        cells.append(f"{own['chosen']} {interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})")
        if others:
            best = max(others, key=lambda result: _score(result)["value"])
            gain = paired_difference(_measured(own), _measured(best), "score", len(own["truth"]), Bootstrap())
            cells.append(f"{gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})")
        else:
            cells.append("")
        shown = [found.get((name, way)) for way in ("tidemill", *OTHERS)]
        cells += [
            " / ".join(f"{result[unit]:.0f}" if result else "-" for result in shown) for unit in ("seconds", "memory")
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _cell(result: Result | None) -> str:
    return "" if result is None else f"{result['chosen']} {_score(result)['value']:.3f}".strip()


def _score(result: Result, target: str | None = None) -> Interval:
    measure = _measured(result, target)
    return intervals(measure, len(result["truth"]), Bootstrap(resamples=1000))["score"]


def _measured(result: Result, target: str | None = None) -> Callable[[Any], dict[str, float]]:
    """Return accuracy, or R², as a function of row weights."""
    truth, predictions = result["truth"], result["predictions"]
    if (target or SETS[result["set"]].target) == "label":
        right = np.array([str(one) == str(other) for one, other in zip(truth, predictions, strict=True)])
        return lambda weights: {"score": float(weights @ right / weights.sum())}
    known, errors = np.array(truth, float), (np.array(truth, float) - np.array(predictions, float)) ** 2

    def r2(weights: Any) -> dict[str, float]:
        mean = weights @ known / weights.sum()
        return {"score": float(1 - weights @ errors / (weights @ (known - mean) ** 2))}

    return r2


if __name__ == "__main__":
    if sys.argv[1:2] == ["--way"]:
        _way(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main()
