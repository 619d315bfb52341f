"""`report.html`: one file that needs nothing else, for a person who wants to know whether to trust a model."""

import base64
import io
from pathlib import Path
from typing import Any

import pandas as pd

from tidemill.evaluation import figures
from tidemill.evaluation.facts import Facts, number, param, span, standing, verdict, words

EXAMPLES = 12
"""Rows shown of those that went worst."""
MATRIX_CLASSES = 20
"""Classes up to which a confusion matrix can be read."""
TABLE_CLASSES = 50
CHARACTERS = 600
"""Characters of a text shown."""
THUMBNAIL = (256, 256)
"""Width and height in pixels up to which a picture is shown as it is."""


def render(facts: Facts) -> str:
    """The page. Whatever comes from the data is shown as text, never taken as markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"words": words, "number": number, "span": span, "param": param}
    return environment.get_template("report.html.j2").render(_shown(facts))


def _shown(facts: Facts) -> dict[str, Any]:
    """All that the page names."""
    return {
        "facts": facts,
        "evaluation": facts.evaluation,
        "verdict": verdict(facts),
        "standing": _standing(facts.evaluation),
        "comparison": figures.comparison(_compared(facts), words(facts.evaluation["main_metric"])),
        "curves": figures.curves(facts.curves),
        "calibration": figures.calibration(facts.plots["calibration"]) if "calibration" in facts.plots else None,
        "others": [
            figures.drawn(name, table)
            for name, table in facts.plots.items()
            if name not in ("calibration", "confusion")
        ],
        "matrix": _matrix(facts),
        "confusions": _confusions(facts.plots),
        "classes": _classes(facts.evaluation["per_class"]),
        "worst": [_example(facts, row) for row in _records(facts.worst.head(EXAMPLES))],
        "wrong": len(facts.worst),
        "strip": _strip(facts),
        "slowest": _slowest(facts),
        "behaviours": _behaviours(facts),
    }


def _strip(facts: Facts) -> list[dict[str, Any]]:
    """A right answer of each class, where what is shown are pictures: one look says what the classes are."""
    examples = [_example(facts, row) for row in _records(facts.right.sort_values("label").head(EXAMPLES))]
    return [example for example in examples if example["pictures"] and not example["texts"]]


def _standing(evaluation: dict[str, Any]) -> str:
    """How the model stands to the baseline that is hardest to beat."""
    differences = [evaluation[f"difference_to_{name}"] for name in evaluation["baselines"]]
    return standing(min(differences, key=lambda difference: difference["value"])) if differences else "level"


def _compared(facts: Facts) -> dict[str, dict[str, float]]:
    metric = facts.evaluation["main_metric"]
    baselines = {f"{name} baseline": found[metric] for name, found in facts.evaluation["baselines"].items()}
    best_first = sorted(baselines.items(), key=lambda item: -item[1]["value"])
    return {facts.system: facts.main} | dict(best_first)


def _matrix(facts: Facts) -> pd.DataFrame | None:
    """Rows by actual (down) and predicted (across) class, where there are few enough to read."""
    labels = list(facts.evaluation["per_class"])
    if "confusion" not in facts.plots or len(labels) > MATRIX_CLASSES:
        return None
    table = facts.plots["confusion"]
    return pd.crosstab(table["actual"], table["predicted"]).reindex(index=labels, columns=labels, fill_value=0)


def _confusions(plots: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The commonest mistakes: actual, predicted and how often."""
    if "confusion" not in plots:
        return []
    table = plots["confusion"]
    wrong = table[table["actual"] != table["predicted"]]
    counted = wrong.value_counts(["actual", "predicted"]).rename("rows").reset_index()
    return _records(counted.head(5))


def _classes(by_class: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Classes in order; the weakest alone where there are too many."""
    classes = list(by_class.items())
    if len(classes) <= TABLE_CLASSES:
        return classes
    return sorted(classes, key=lambda item: item[1]["f1"]["value"])[:TABLE_CLASSES]


def _slowest(facts: Facts) -> list[dict[str, Any]]:
    by_id = facts.rows.drop_duplicates("id").set_index("id", drop=False)
    slow = facts.latency["slowest"]
    return [_example(facts, by_id.loc[entry["id"]].to_dict()) | {"ms": entry["ms"]} for entry in slow]


def _behaviours(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    """By kind, what changes of the test rows came to, with the row of the first failure as it was shown to the model."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for found in facts.evaluation["behaviours"]:
        failed = facts.failures.get(found["name"])
        kinds.setdefault(found["kind"], []).append(found | {"example": failed and _example(facts, failed)})
    return kinds


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _example(facts: Facts, row: dict[str, Any]) -> dict[str, Any]:
    """A row as shown: its content as texts and pictures, and what was answered where that is known."""
    shown = [(name, row[name]) for name in facts.inputs]
    return {
        "origin": row.get("row", row["id"]),
        "texts": [(name, _shortened(str(value))) for name, value in shown if not isinstance(value, bytes)],
        "pictures": [_picture(value) for _, value in shown if isinstance(value, bytes)],
        **{name: row.get(name) for name in ("label", "prediction", "confidence", "loss")},
    }


def _shortened(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[:CHARACTERS].rstrip() + "…"


def _picture(content: bytes) -> dict[str, Any]:
    """The picture drawn anew as PNG, so that nothing but its pixels gets into the page."""
    from tidemill.data.pictures import decoded

    picture = decoded(content).convert("RGBA")
    picture.thumbnail(THUMBNAIL)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"address": f"data:image/png;base64,{encoded}", "small": max(picture.size) <= 64}
