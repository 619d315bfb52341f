"""Plots as SVG text inside a page: they take the page's colours, light or dark, and its font."""

import io
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"#010101": "var(--ink)", "#020202": "var(--quiet)", "#030303": "var(--line)", "#040404": "var(--accent)"}
"""Placeholder colours that no plot would pick, and the page's colours that replace them."""
INK, QUIET, LINE, ACCENT = COLOURS
FIXED = {"var(--ink)": "#1d2329", "var(--quiet)": "#5b6670", "var(--line)": "#dfe3e6", "var(--accent)": "#0b6e8f"}
"""Colours on white, for a plot in a file of its own."""
NAMED_CLASSES = 20
"""Classes up to which a confusion matrix has room for their names."""
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tidemill",  # the same plot is the same text
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}


def draw(name: str, table: pd.DataFrame) -> str:
    """Draw a plot of a task by its name: a confusion matrix, a calibration, predicted numbers, or the second column over the first."""
    kinds = {"confusion": confusion, "calibration": calibration, "predicted": predicted, "residuals": residuals}
    return kinds[name](table) if name in kinds else relation(table)


def standalone(svg: str) -> str:
    """Return the plot as a file of its own, as DVC shows it."""
    for colour, fixed in FIXED.items():
        svg = svg.replace(colour, fixed)
    return svg


def comparison(intervals: dict[str, dict[str, float]], metric: str) -> str:
    """Draw one metric of the model and of each baseline, as points with their intervals, the first on top."""
    figure, axes = _axes(5.6, 0.8 + 0.45 * len(intervals))
    for place, (name, interval) in enumerate(reversed(intervals.items())):
        colour = ACCENT if name == next(iter(intervals)) else QUIET
        axes.plot([interval["low"], interval["high"]], [place, place], color=colour, linewidth=3)
        axes.plot(interval["value"], place, "o", color=colour, markersize=8)
        axes.annotate(f"{interval['value']:.3f}", (interval["value"], place + 0.22), ha="center", color=colour)
    axes.set_yticks(range(len(intervals)), list(reversed(intervals)), color=INK)
    axes.set_ylim(-0.5, len(intervals) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(metric)
    shown = ", ".join(f"{name} {interval['value']:.3f}" for name, interval in intervals.items())
    return _svg(figure, f"{metric} with its interval: {shown}")


def curves(table: pd.DataFrame) -> list[str]:
    """Draw each metric (loss, accuracy) in training and validation over the steps.

    Args:
        table: Columns step, name (`train/loss`, `val/loss`) and value.
    """
    kinds = table["name"].str.partition("/")
    table = table.assign(part=kinds[0], metric=kinds[2])
    compared = set(table["metric"][table["part"] == "val"])
    order = sorted(compared, key=lambda name: (name != "loss", name))
    return [_curve(table[table["metric"] == name], name) for name in order]


def calibration(table: pd.DataFrame) -> str:
    """Draw the accuracy over the confidence of each bin; a calibrated model lies on the diagonal.

    Args:
        table: Columns confidence, accuracy and rows, one row a bin.
    """
    figure, axes = _axes(4.6, 4.2)
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--")
    axes.plot(table["confidence"], table["accuracy"], color=ACCENT, linewidth=1.5)
    axes.scatter(table["confidence"], table["accuracy"], s=20 + 180 * table["rows"] / table["rows"].max(), color=ACCENT)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="confidence", ylabel="accuracy")
    widest = table.iloc[int((table["confidence"] - table["accuracy"]).abs().to_numpy().argmax())]
    worst = f"largest gap: confidence {widest['confidence']:.2f}, accuracy {widest['accuracy']:.2f}"
    return _svg(figure, f"accuracy over confidence; {worst}")


def confusion(table: pd.DataFrame) -> str:
    """Draw the share of each actual class (down) that was predicted as each class (across).

    Args:
        table: Columns actual and predicted, one row an example.
    """
    labels = sorted(set(table["actual"]) | set(table["predicted"]), key=lambda label: (len(label), label))
    counts = pd.crosstab(table["actual"], table["predicted"]).reindex(index=labels, columns=labels, fill_value=0)
    figure, axes = _axes(4.8, 4.8)
    axes.imshow(counts.div(counts.sum(axis=1).clip(lower=1), axis=0), cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set(xlabel="predicted", ylabel="actual")
    if len(labels) <= NAMED_CLASSES:
        axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
    return _svg(figure, f"{len(labels)} classes, {int((table['actual'] == table['predicted']).sum())} rows right")


def relation(table: pd.DataFrame) -> str:
    """Draw the second column over the first, a point for each row."""
    across, up = table.columns[:2]
    figure, axes = _axes(5.2, 3.6)
    axes.scatter(table[across], table[up], s=12, color=ACCENT, alpha=0.6)
    axes.set(xlabel=across.replace("_", " "), ylabel=up.replace("_", " "))
    return _svg(figure, f"{up} over {across}, {len(table)} rows")


def predicted(table: pd.DataFrame) -> str:
    """Draw the predicted over the actual number; a right prediction lies on the diagonal.

    Args:
        table: Columns actual and predicted, one row an example.
    """
    figure, axes = _axes(4.6, 4.2)
    ends = [table.to_numpy().min(), table.to_numpy().max()]
    axes.plot(ends, ends, color=QUIET, linewidth=1, linestyle="--")
    axes.scatter(table["actual"], table["predicted"], s=12, color=ACCENT, alpha=0.6)
    axes.set(xlabel="actual", ylabel="predicted")
    correlation = table["actual"].corr(table["predicted"])
    return _svg(figure, f"predicted over actual, {len(table)} rows, correlation {correlation:.3f}")


def residuals(table: pd.DataFrame) -> str:
    """Draw how far each actual number is above its prediction, over the prediction.

    Args:
        table: Columns predicted and residual, one row an example.
    """
    figure, axes = _axes(4.6, 4.2)
    axes.axhline(0, color=QUIET, linewidth=1, linestyle="--")
    axes.scatter(table["predicted"], table["residual"], s=12, color=ACCENT, alpha=0.6)
    axes.set(xlabel="predicted", ylabel="actual minus predicted")
    return _svg(figure, f"residuals over predictions, {len(table)} rows, deviation {table['residual'].std():.3g}")


def _curve(table: pd.DataFrame, name: str) -> str:
    figure, axes = _axes(5.2, 3.2)
    for part, colour, label in (("train", QUIET, "training"), ("val", ACCENT, "validation")):
        line = table[table["part"] == part].sort_values("step")
        if len(line):
            style: dict[str, Any] = {"marker": "o", "markersize": 4} if part == "val" else {"linewidth": 1}
            axes.plot(line["step"], line["value"], color=colour, label=label, **style)
    axes.set(xlabel="step", ylabel=name.replace("_", " "))
    axes.legend(frameon=False, labelcolor=INK)
    last = table.sort_values("step").groupby("part")["value"].last()
    return _svg(figure, f"{name} over the steps; at the end " + ", ".join(f"{p} {v:.3f}" for p, v in last.items()))


def _axes(width: float, height: float) -> "tuple[Figure, Axes]":
    """Make a figure with one plot, outside of matplotlib's global state; sizes in inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def _svg(figure: "Figure", description: str) -> str:
    """Return the figure as an `<svg>` element of any width, with its description for screen readers."""
    import matplotlib
    from markupsafe import escape

    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, colour in COLOURS.items():
        text = text.replace(stand_in, colour)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
