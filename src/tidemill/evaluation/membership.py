"""What a model's losses tell of who was among its training rows: membership inference.

The attack knows the loss of a row and takes a low one as a sign of training (Yeom et al., Privacy Risk in Machine
Learning: Analyzing the Connection to Overfitting, 2018). It is measured as Carlini et al. ask for (Membership Inference
Attacks From First Principles, 2022): beside its AUC, by how many training rows it finds while it hardly ever accuses
another one. Test rows stand for the rows that were not trained on.

Where a system is cross-validated, the likelihood-ratio attack of the same paper knows more: what a reference model that never
saw the row makes of it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core.intervals import Bootstrap, Interval, Metrics, intervals, share
from tidemill.core.spec import Spec
from tidemill.tasks.common import scoring

FALSE_POSITIVES = (0.001, 0.01)
"""Shares of the test rows that an attack may take for training rows, at most."""
ATTACKS = {"loss_threshold": "threshold on the loss", "likelihood_ratio": "likelihood ratio to reference models"}
"""Attacks by their name in `evaluation.json`."""
MEANINGS = {
    "gap": "main metric on the training rows minus that on the test rows; 0 where the model fits both alike",
    "auc": "how often a training row looks more like one than a test row does; 0.5 is guessing, 1 is certainty",
    **{
        f"tpr_at_{limit:g}": f"share of the training rows found, while {100 * limit:g} % of the test rows are accused; "
        f"{limit:g} is guessing"
        for limit in FALSE_POSITIVES
    },
}


def sample(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Return at most `count` rows, drawn by the seed, in their order."""
    return rows.sample(min(len(rows), count), random_state=seed).sort_index()


def membership(
    task: str, spec: Spec, members: pd.DataFrame, others: pd.DataFrame, bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return what an attacker could learn of the training rows, as `evaluation.json` holds it.

    Args:
        task: name of the task.
        members: scored predictions of training rows.
        others: scored predictions of the test rows.
    """
    known, unknown = (-table["loss"].to_numpy(dtype=np.float64) for table in (members, others))
    return {
        "rows": {"train": len(members), "test": len(others)},
        "gap": _gap(task, spec, members, others, bootstrap),
        "loss_threshold": attack(known, unknown, bootstrap),
    }


def against_references(
    task: str,
    spec: Spec,
    scored: tuple[pd.DataFrame, pd.DataFrame],
    references: "tuple[pd.Series[float], pd.Series[float]]",
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """Return what `membership` does, and the likelihood-ratio attack.

    Args:
        scored: scored predictions of training rows, and of test rows.
        references: by id, the losses of the same rows, or more of them, by models that never saw them.
    """
    known, unknown = (
        likelihood_ratio(
            table["loss"].to_numpy(dtype=np.float64), np.asarray(losses.loc[table["id"]], dtype=np.float64)
        )
        for table, losses in zip(scored, references, strict=True)
    )
    return membership(task, spec, *scored, bootstrap) | {"likelihood_ratio": attack(known, unknown, bootstrap)}


def likelihood_ratio(losses: NDArray[np.float64], references: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how unlikely such a low loss is of a row that was not trained on: the offline attack of Carlini et al. (2022).

    Confidence is put as logits, log p - log (1 - p), which are close to normal (their section VI). With one reference a row,
    the mean of a row's normal distribution is what its reference has, and all rows share the variance; so the attack's
    probability rises with the difference, which is returned.

    Args:
        losses: of the model, in nats (N,).
        references: of models that never saw the rows (N,).
    """
    return _logits(losses) - _logits(references)


def _logits(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log p - log (1 - p) for losses -log p; a probability that rounding has made 1 counts as just below it."""
    known = np.maximum(losses, np.finfo(np.float32).eps)
    logits: NDArray[np.float64] = -known - np.log(-np.expm1(-known))
    return logits


def attack(members: NDArray[np.float64], others: NDArray[np.float64], bootstrap: Bootstrap) -> dict[str, Interval]:
    """Return AUC and true-positive rates of an attack, each with its interval over the rows of both kinds.

    Where few rows are found, drawing them anew shows too little spread, none at all for a rate of 0: intervals of rates
    are widened to those of Wilson (1927).

    Args:
        members: for each training row (N,), how much it looks like one.
        others: the same of rows that were not trained on (M,).
    """
    found = intervals(_roc(members, others), len(members) + len(others), bootstrap)
    for name in found.keys() - {"auc"}:
        hits = round(found[name]["value"] * len(members))
        wilson = share(hits, len(members), bootstrap.confidence)
        found[name] |= {"low": min(found[name]["low"], wilson["low"]), "high": max(found[name]["high"], wilson["high"])}
    return found


def named(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what `membership` found as rows of a table: `name`, `meaning`, and `found`, a value with its interval."""
    if found is None:
        return []
    gap = [] if found["gap"] is None else [_entry("gap of the main metric", "gap", found["gap"])]
    attacks = {name: values for name, values in found.items() if name in ATTACKS}
    return gap + [
        _entry(f"{ATTACKS[attack]}: {_as_words(name)}", name, value)
        for attack, values in attacks.items()
        for name, value in values.items()
    ]


def _entry(name: str, measured: str, found: Interval) -> dict[str, Any]:
    return {"name": name, "meaning": MEANINGS[measured], "found": found}


def _as_words(name: str) -> str:
    """Return the name of a measurement as prose: `tpr_at_0.01` is `true positives at 1 % false positives`."""
    if name == "auc":
        return "AUC"
    return f"true positives at {100 * float(name.removeprefix('tpr_at_')):g} % false positives"


def _roc(members: NDArray[np.float64], others: NDArray[np.float64]) -> Metrics:
    """Return AUC and true-positive rates as a function of the weights of the rows, members first."""
    signal = np.concatenate([members, others])
    order = np.argsort(-signal, kind="stable")
    is_member = order < len(members)
    last_of_equals = np.append(np.flatnonzero(np.diff(signal[order])), len(signal) - 1)

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        drawn = weights[order]
        true = np.cumsum(drawn * is_member)[last_of_equals]
        false = np.cumsum(drawn * ~is_member)[last_of_equals]
        if not true[-1] or not false[-1]:
            return dict.fromkeys(["auc", *map(_rate_name, FALSE_POSITIVES)], float("nan"))
        true, false = (np.concatenate([[0.0], counts / counts[-1]]) for counts in (true, false))
        rates = {_rate_name(limit): float(true[false <= limit].max()) for limit in FALSE_POSITIVES}
        return {"auc": float(np.trapezoid(true, false)), **rates}

    return weighted


def _rate_name(limit: float) -> str:
    return f"tpr_at_{limit:g}"


def _gap(task: str, spec: Spec, members: pd.DataFrame, others: pd.DataFrame, bootstrap: Bootstrap) -> Interval | None:
    """Measure the main metric on training rows minus that on test rows; None where it is not defined for them."""
    metric = scoring.of(task).MAIN_METRIC
    known, unknown = (_metric(task, spec, table, metric) for table in (members, others))

    def difference(weights: NDArray[np.int64]) -> dict[str, float]:
        ours, theirs = weights[: len(members)], weights[len(members) :]
        return {metric: known(ours) - unknown(theirs) if ours.any() and theirs.any() else float("nan")}

    return intervals(difference, len(members) + len(others), bootstrap).get(metric)


def _metric(task: str, spec: Spec, predictions: pd.DataFrame, name: str) -> Callable[[NDArray[np.int64]], float]:
    measure = scoring.metrics(task, predictions, spec)
    return lambda weights: measure(weights)[name]
