"""The plots in docs/performance.md: SVG without a background, in colours that are legible on white and on black."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

GREY = "#808890"
TARGET = "#d0453b"
COLOURS = ["#2f81c7", "#c77a2f", "#4f9d5d", "#9a6fc4"]

mpl.rcParams.update(
    {
        "svg.hashsalt": "rest-sessions",
        "svg.fonttype": "none",
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "text.color": GREY,
        "axes.labelcolor": GREY,
        "axes.edgecolor": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 11,
        "legend.frameon": False,
    }
)


def bars(
    path: Path, label: str, groups: list[str], series: dict[str, list[float]], targets: dict[str, list[float]]
) -> None:
    """Draws a group of bars for each of `groups`, with one bar per series.

    `targets` has the highest values that are accepted, for some of the series. NaN leaves a gap.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6))
    width = 0.8 / max(len(series), 2)
    for number, (name, values) in enumerate(series.items()):
        places = [group + (number - (len(series) - 1) / 2) * width for group in range(len(groups))]
        axes.bar(places, values, width * 0.92, label=name, color=COLOURS[number])
        if name in targets:
            ends = [place + side * width / 2 for place in places for side in (-1, 1)]
            is_first = name == next(iter(targets))
            axes.hlines(
                targets[name], ends[::2], ends[1::2], color=TARGET, linewidth=2.5, label="target" if is_first else None
            )
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(label)
    save(figure, axes, path)


def lines(path: Path, x_label: str, y_label: str, series: dict[str, tuple[list[float], list[float]]]) -> None:
    """Draws a line for each series, from its x and y values. The x axis is logarithmic."""
    figure, axes = plt.subplots(figsize=(9, 3.6))
    for number, (name, (x, y)) in enumerate(series.items()):
        axes.plot(x, y, marker="o", label=name, color=COLOURS[number])
    axes.set_xscale("log", base=2 if max(max(x) for x, _ in series.values()) < 1000 else 10)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    save(figure, axes, path)


def save(figure: Any, axes: Any, path: Path) -> None:
    """Writes the figure without a date, so that the same data gives the same file."""
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
