"""The results of a sweep: plots of the search, a table of its trials, and one page with both."""

import base64
import html
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna import Study
from optuna.trial import TrialState

from tidemill.sweeping import space as spaces
from tidemill.sweeping.params import Sweep

PLOTS = {"history": "plot_optimization_history", "importances": "plot_param_importances", "slices": "plot_slice"}
TITLES = {
    "history": "The metric, trial by trial, and the best so far",
    "importances": "How much of the metric's variance each param explains (fANOVA)",
    "slices": "The metric over each param",
}
ROWS_ON_THE_PAGE = 100


def write(study: Study, sweep: Sweep, folder: Path) -> None:
    """Write `trials.csv`, a PNG for each plot, and `sweep.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = trials(study, sweep)
    table.to_csv(folder / "trials.csv", index=False)
    drawn = [name for name in PLOTS if _draw(study, sweep, name, folder / f"{name}.png")]
    (folder / "sweep.html").write_text(_page(study, sweep, table, drawn, folder), encoding="utf-8")


def trials(study: Study, sweep: Sweep) -> pd.DataFrame:
    """Return a row for each trial that ended, the best first."""
    space = spaces.distributions(sweep)
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    rows = [
        {"trial": trial.number, "state": trial.state.name.lower(), sweep.metric: trial.value, "epochs": _epochs(trial)}
        | spaces.values(space, trial.params)
        for trial in ended
    ]
    table = pd.DataFrame(rows).sort_values(
        ["state", sweep.metric], ascending=[True, sweep.direction == "minimize"], ignore_index=True
    )
    return table


def best(study: Study, sweep: Sweep) -> dict[str, Any]:
    """Return the params of the best trial."""
    return spaces.values(spaces.distributions(sweep), study.best_trial.params)


def markdown(study: Study, sweep: Sweep, patch: Path) -> str:
    """Return the best trials as Markdown, and how to accept the best."""
    table = trials(study, sweep).head(5)
    head = [" | ".join(map(str, table)), " | ".join("---" for _ in table)]
    rows = [" | ".join(_cell(value) for value in row) for row in table.itertuples(index=False)]
    return "\n".join([*(f"| {line} |" for line in head + rows), "", f"To accept the best: `git apply {patch}`"])


def _draw(study: Study, sweep: Sweep, name: str, path: Path) -> bool:
    """Draw a plot; return whether there was enough to draw: importances need two trials that differ."""
    import warnings

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    values = [trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    if name != "history" and len(set(values)) < 2:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls these plots experimental
        getattr(optuna.visualization.matplotlib, PLOTS[name])(study)
    figure = pyplot.gcf()
    figure.suptitle(sweep.metric)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close("all")
    return True


def _page(study: Study, sweep: Sweep, table: pd.DataFrame, drawn: list[str], folder: Path) -> str:
    plots = [
        f"<h2>{TITLES[name]}</h2><img alt='{TITLES[name]}' src='data:image/png;base64,"
        f"{base64.b64encode((folder / f'{name}.png').read_bytes()).decode()}'>"
        for name in drawn
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(study.study_name)}</title>"
        "<style>body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}img{max-width:100%}"
        "table{border-collapse:collapse}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:left}</style>"
        f"<h1>{html.escape(study.study_name)}</h1><p>{len(table)} trials by {sweep.sampler}; {html.escape(sweep.metric)}, "
        f"{sweep.direction}d.</p>{table.head(ROWS_ON_THE_PAGE).to_html(index=False, border=0)}{''.join(plots)}</html>\n"
    )


def _epochs(trial: optuna.trial.FrozenTrial) -> int:
    return len(trial.intermediate_values)


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value).replace("|", "\\|")
