"""`report.html`: a self-contained page for a person who has to decide whether to trust a model."""

import base64
import io
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.evaluation import membership, plots, recitation
from tidemill.evaluation.results import Results, differences, number, param, span, standing, verdict, words

EXAMPLES = 12
"""Rows shown with the highest losses."""
MATRIX_CLASSES = 20
"""Classes up to which a confusion matrix can be read."""
TABLE_CLASSES = 50
EXPLAINED = {
    "words": "The features that speak most for each label: how much one raises its logit, in a text that is made of nothing "
    "else.",
    "columns": "How much each column adds to what is predicted: for a standard deviation of a number, or a category that "
    "is there.",
    "gain": "The share of each column in what the trees have taken from the training loss.",
}
"""What a weight is, by the kind of the features."""
BLANK = "␣"
CHARACTERS = 600
"""Characters of a text shown."""
THUMBNAIL = (256, 256)
"""Width and height in pixels up to which a picture is shown as it is."""


def render(results: Results) -> str:
    """Render the page. Whatever comes from the data is shown as text, never taken as markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "number": number, "span": span, "param": param}
    return environment.get_template("report.html.j2").render(_shown(results))


def _shown(results: Results) -> dict[str, Any]:
    """Return everything that the template names."""
    return {
        "results": results,
        "evaluation": results.evaluation,
        "reading": results.config["spec"],
        "verdict": verdict(results),
        "standing": _standing(results.evaluation),
        "comparison": plots.comparison(_compared(results), words(results.evaluation["main_metric"])),
        "curves": plots.curves(results.curves),
        "calibration": plots.calibration(results.plots["calibration"]) if "calibration" in results.plots else None,
        "others": [
            plots.draw(name, table) for name, table in results.plots.items() if name not in ("calibration", "confusion")
        ],
        "matrix": _matrix(results),
        "confusions": _confusions(results.plots),
        "classes": _classes(results.evaluation["per_class"]),
        "worst": [_example(results, row) for row in _records(results.worst.head(EXAMPLES))],
        "wrong": len(results.worst),
        "strip": _strip(results),
        "slowest": _slowest(results),
        "probes": _probes(results),
        "remembered": membership.named(results.evaluation["membership"]),
        "recited": recitation.named(results.evaluation["recitation"]),
        "explanation": _explanation(results.explanation),
        "explained": EXPLAINED.get(next(iter(results.explanation["kind"]), ""), EXPLAINED["words"]),
    }


def _strip(results: Results) -> list[dict[str, Any]]:
    """Return a correct prediction of each class if rows are pictures: one look shows what the classes are."""
    examples = [_example(results, row) for row in _records(results.right.sort_values("label").head(EXAMPLES))]
    return [example for example in examples if example["pictures"] and not example["texts"]]


def _standing(evaluation: dict[str, Any]) -> str:
    """Compare the model with its strongest baseline."""
    found = differences(evaluation).values()
    return standing(min(found, key=lambda difference: difference["value"])) if found else "level"


def _compared(results: Results) -> dict[str, dict[str, float]]:
    metric = results.evaluation["main_metric"]
    measured = results.evaluation["baselines"].items()
    baselines = {f"{name} baseline": found[metric] for name, found in measured if metric in found}
    best_first = sorted(baselines.items(), key=lambda item: -results.sign * item[1]["value"])
    return {results.system: results.main} | dict(best_first)


def _matrix(results: Results) -> pd.DataFrame | None:
    """Count rows by actual (down) and predicted (across) class, if there are few enough classes to read."""
    labels = list(results.evaluation["per_class"])
    if "confusion" not in results.plots or len(labels) > MATRIX_CLASSES:
        return None
    table = results.plots["confusion"]
    return pd.crosstab(table["actual"], table["predicted"]).reindex(index=labels, columns=labels, fill_value=0)


def _confusions(plots: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return the most common mistakes: actual, predicted and rows."""
    if "confusion" not in plots:
        return []
    table = plots["confusion"]
    wrong = table[table["actual"] != table["predicted"]]
    counted = wrong.value_counts(["actual", "predicted"]).rename("rows").reset_index()
    return _records(counted.head(5))


def _classes(by_class: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return the classes in order, or only the weakest if there are too many."""
    classes = list(by_class.items())
    if len(classes) <= TABLE_CLASSES:
        return classes
    return sorted(classes, key=lambda item: item[1]["f1"]["value"])[:TABLE_CLASSES]


def _slowest(results: Results) -> list[dict[str, Any]]:
    by_id = results.rows.drop_duplicates("id").set_index("id", drop=False)
    slow = results.latency["slowest"]
    return [_example(results, by_id.loc[entry["id"]].to_dict()) | {"ms": entry["ms"]} for entry in slow]


def _probes(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return the probes by kind, each with the first row that failed as the model read it."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for found in results.evaluation["probes"]:
        failed = results.failures.get(found["name"])
        kinds.setdefault(found["kind"], []).append(found | {"example": failed and _example(results, failed)})
    return kinds


def _explanation(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Return the features of each label, with a visible sign for a blank, of as many labels as a page has room for."""
    is_of_characters = table["kind"] == "characters"
    shown = table.assign(feature=table["feature"].mask(is_of_characters, table["feature"].str.replace(" ", BLANK)))
    labels = list(dict.fromkeys(shown["label"]))[:TABLE_CLASSES]
    return {label: _records(shown[shown["label"] == label]) for label in labels}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _example(results: Results, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is shown: its content as texts and pictures, and its prediction if there is one."""
    shown = [(name, row[name]) for name in results.inputs]
    return {
        "origin": row.get("row", row["id"]),
        "texts": [(name, _shortened(str(value))) for name, value in shown if not isinstance(value, bytes)],
        "pictures": [_picture(value) for _, value in shown if isinstance(value, bytes)],
        **{name: row.get(name) for name in ("label", "target", "prediction", "confidence", "loss")},
    }


def _shortened(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[:CHARACTERS].rstrip() + "…"


def _picture(content: bytes) -> dict[str, Any]:
    """Encode the picture again as PNG, so that nothing but its pixels gets into the page."""
    from tidemill.core.pictures import decoded

    picture = decoded(content).convert("RGBA")
    picture.thumbnail(THUMBNAIL)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"address": f"data:image/png;base64,{encoded}", "small": max(picture.size) <= 64}
