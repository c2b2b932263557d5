"""Measure and draw how time and memory grow with depth, batch, image size and number of images, on each backend.

    python benchmarks/growth.py --measure --json results/performance/growth.json
    python benchmarks/growth.py --measure --memory --json memory.json     where times say nothing: memory alone
    python benchmarks/growth.py --json results/performance/growth.json --out docs/images/growth

Every point is a process of its own, in which `train` makes a few periods of updates: the point is the median of their
images per second, without the first, and the peak memory of the process. One field changes at a time; the others are
those of `BASE`. Backends take turns at each point. A point that takes longer than `--limit`, as compiling deep nets
does, is reported and left out. Results of `training.py` that are such points are drawn too, without memory.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, get_args

from setting import Backend, Setting

from resnet_keras.errors import InvalidValue
from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.runs import storage

BASE = Setting("torch", "resnet-20", batch_size=32, image_size=32, images=10_000)
PERIODS = 4
"""Periods of updates, of which the first is not counted."""
TIMES = ("images_per_second", "first_update_seconds", "load")
COLOURS = {"tensorflow": "#d95f02", "jax": "#1b9e77", "torch": "#7570b3"}
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


class Axis(NamedTuple):
    """What grows.

    Attributes:
        label: label in the figure.
        field: the field of `Setting` that changes.
        values: values of that field.
        power: the computation for an image grows with this power of the field.
    """

    label: str
    field: str
    values: tuple[Any, ...]
    power: int

    def number(self, setting: Setting) -> int:
        """Position of a point on the axis."""
        return setting.architecture.depth if self.field == "net" else getattr(setting, self.field)

    def holds(self, setting: Setting) -> bool:
        """Whether the setting differs from `BASE` only in this field."""
        kept = {"backend": BASE.backend, "seconds": BASE.seconds, "rounds": BASE.rounds, "beside": BASE.beside}
        of_base = {self.field: getattr(BASE, self.field)}
        return replace(setting, **kept | of_base) == BASE


AXES = (
    Axis("weighted layers", "net", ("resnet-20", "resnet-56", "resnet-110", "resnet-1202"), 1),
    Axis("images per update", "batch_size", (32, 128, 512, 1024), 0),
    Axis("pixels of a side", "image_size", (16, 32, 64, 128), 2),
    Axis("training images", "images", (1_000, 10_000, 50_000, 200_000), 0),
)


def points(backends: Sequence[Backend]) -> Iterator[Setting]:
    """Yields each setting once."""
    seen = set()
    for axis in AXES:
        for value in axis.values:
            for backend in backends:
                setting = normal(replace(BASE, backend=backend, **{axis.field: value}))
                if setting not in seen:
                    seen.add(setting)
                    yield setting


def normal(setting: Setting) -> Setting:
    """The setting with the size and number of its images filled in."""
    images = BASE.images if setting.images is None else setting.images
    return replace(setting, image_size=setting.architecture.image_size, images=images)


def measure(setting: Setting, limit: float, *, memory: bool) -> dict[str, Any]:
    """Measures a point in a process of its own; with `memory`, times are left out."""
    about = {
        "setting": asdict(setting),
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": os.getloadavg()[0],
    }
    environment = os.environ | {"KERAS_BACKEND": setting.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [
        sys.executable,
        str(Path(__file__).with_name("point.py")),
        setting.to_json(),
        str(1 if memory else PERIODS),
    ]
    try:
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=limit, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return about | {"error": f"it took longer than {limit:.0f} s"}
    if done.returncode:
        return about | {"error": f"exit code {done.returncode}"}
    found = about | json.loads(done.stdout)
    return {name: value for name, value in found.items() if not (memory and name in TIMES)}


def said(one: dict[str, Any]) -> str:
    """One line about a point."""
    if "error" in one:
        return one["error"]
    rates, memory = one.get("images_per_second"), f"{(one['peak_bytes'] or 0) / 1e6:,.0f} MB"
    return f"{statistics.median(rates):.3g} images/s, {memory}" if rates else memory


def setting_of(one: dict[str, Any]) -> Setting:
    """The setting of a result."""
    return Setting.from_json(json.dumps(one["setting"]))


def read(path: Path) -> list[dict[str, Any]]:
    """Reads results: the setting and images per second of each, and its memory if recorded."""
    found = []
    for one in json.loads(path.read_text(encoding="utf-8")):
        if "setting" not in one or "error" in one:
            continue
        rates = one.get("images_per_second")
        rates = rates["train"] if isinstance(rates, dict) else rates
        rate = statistics.median(rates) if rates else None
        peak = one.get("device_peak_bytes") or one.get("peak_bytes")
        found.append({"setting": normal(setting_of(one)), "rate": rate, "peak": peak})
    return found


class Measure(NamedTuple):
    """What is drawn of a point.

    Attributes:
        label: label in the figure.
        field: a field of what `read` returns.
        of: converts that field to the unit of the label.
    """

    label: str
    field: str
    of: Callable[[float], float]


MEASURES = (
    Measure("milliseconds per image", "rate", lambda rate: 1e3 / rate),
    Measure("most memory held, GB", "peak", lambda peak: peak / 1e9),
)


def lines(results: Sequence[dict[str, Any]], axis: Axis, measure: Measure) -> dict[Backend, dict[int, float]]:
    """What was measured along an axis: for each backend, values by position."""
    return {
        backend: {
            axis.number(one["setting"]): measure.of(one[measure.field])
            for one in results
            if one["setting"].backend == backend and one[measure.field] and axis.holds(one["setting"])
        }
        for backend in get_args(Backend)
    }


def draw(results: Sequence[dict[str, Any]], out: Path) -> None:
    """Draws time above, memory below, a column for each axis; axes along which nothing was measured are left out.

    Raises:
        ValueError: the results have no two points along one axis.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    from resnet_keras.plotting import style

    found = {(axis, measure): lines(results, axis, measure) for axis in AXES for measure in MEASURES}
    grown = {which for which, of in found.items() if max(map(len, of.values())) > 1}
    axes = [axis for axis in AXES if any((axis, measure) in grown for measure in MEASURES)]
    measures = [measure for measure in MEASURES if any((axis, measure) in grown for axis in AXES)]
    if not axes:
        raise InvalidValue("A growth figure needs two points along one axis. Received: results without such points.")
    with mpl.rc_context(style.STYLE):
        figure = Figure(figsize=(0.5 + 3.1 * len(axes), 0.3 + 2.7 * len(measures)), layout="constrained")
        panels = figure.subplots(len(measures), len(axes), sharey="row", sharex="col", squeeze=False)
        for column, axis in enumerate(axes):
            ticks = sorted({axis.number(normal(replace(BASE, **{axis.field: value}))) for value in axis.values})
            for panel, measure in zip(panels[:, column], measures, strict=True):
                for backend, of in found[axis, measure].items():
                    where = sorted(of)
                    panel.plot(where, [of[number] for number in where], color=COLOURS[backend], marker="o",
                               markersize=4, label=NAMES[backend])  # fmt: skip
                panel.set(xscale="log", yscale="log", xlim=(ticks[0] / 1.4, ticks[-1] * 1.4))
                panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
                panel.xaxis.set_minor_locator(NullLocator())
                panel.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
                panel.yaxis.set_minor_locator(NullLocator())
                panel.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
                if axis.power and measure is MEASURES[0]:
                    guide(panel, ticks, axis.power)
            panels[-1, column].set_xlabel(axis.label)
        for panel, measure in zip(panels[:, 0], measures, strict=True):
            panel.set_ylabel(measure.label)
        panels[0, -1].legend(frameon=False)
    style.save(figure, out)


def guide(panel: Any, ticks: Sequence[int], power: int) -> None:
    """Draws a grey line with the slope at which the computation grows."""
    low, _ = panel.get_ylim()
    start = low * 1.3
    panel.plot(ticks, [start * (tick / ticks[0]) ** power for tick in ticks], color="#999999", linestyle=":", zorder=0,
               label="_", scalex=False, scaley=False)  # fmt: skip


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__)
    add = parser.add_argument
    add("--measure", action="store_true", help="measure the points missing from --json and add them to it")
    add("--backend", nargs="+", choices=get_args(Backend), default=get_args(Backend), help="(default: all)")
    add("--memory", action="store_true", help="with --measure: measure memory only")
    add("--limit", type=float, default=300.0, metavar="S", help="time limit for each point, in seconds (default: 300)")
    add(
        "--json",
        nargs="+",
        type=file_path,
        required=True,
        metavar="FILE",
        help="measured numbers; the last one for a point counts",
    )
    add("--out", type=file_path, metavar="FILE", help="write the figure here, as .png and .svg")
    options = parser.parse(arguments)
    target = options.json[-1]
    if options.measure:
        results = json.loads(target.read_text(encoding="utf-8")) if target.exists() else []
        known = [normal(setting_of(one)) for one in results]
        for setting in points([name for name in options.backend if find_spec(name)]):
            if setting in known:
                continue
            results.append(one := measure(setting, options.limit, memory=options.memory))
            print(f"{setting.label}, {setting.images:,} images: {said(one)}", flush=True)
            storage.atomic_write(target, (json.dumps(results, indent=2) + "\n").encode())
    if options.out:
        draw([one for path in options.json for one in read(path)], options.out)


if __name__ == "__main__":
    main(program)
