"""What a GPU could do at best: an update's arithmetic and bytes, from the nets themselves, over its published peaks.

    python benchmarks/roofline.py
    python benchmarks/roofline.py --measured results/performance/gpu/*.json     beside what `training.py` measured there

An update takes at least as long as its arithmetic at the tensor cores' peak, and as its bytes at the memory's peak
(Williams et al. 2009). `fused` moves each layer's output as seldom as possible, 5 times; `op by op` 19 times, as
kernels that each do one thing: `OP_BY_OP`. Nothing here was measured, and launching kernels is not counted.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from setting import Precision, Setting, recipe_for

from resnet_keras.programs.main import main
from resnet_keras.programs.options import OneLineParser, file_path
from resnet_keras.reports.tables import Table
from resnet_keras.runs import storage
from resnet_keras.spec.cost import LEAST_PASSES, cost

OP_BY_OP = 7 + 12
"""Passes over a layer's output. Forward: the convolution writes; batch normalisation reads for its statistics, reads
and writes; ReLU reads and writes; the next convolution reads. Backward: ReLU reads gradient and output and writes;
batch normalisation reads gradient and input for its sums, again for its gradient, and writes; the convolution reads the
gradient twice and its input, and writes. The additions of the shortcuts are left out."""
NETS = (("resnet-20", 128), ("resnet-56", 128), ("resnet-110", 128), ("resnet-18", 256), ("resnet-50", 256))
"""Nets, with the paper's batch sizes."""


@dataclass(frozen=True)
class Gpu:
    """Published peaks of a GPU.

    Attributes:
        name: part of the name that frameworks give the device.
        operations: per second with dense matrices: in TF32, which frameworks use for float32 convolutions, and in
            bfloat16.
        bytes: per second, moved by its memory.
    """

    name: str
    operations: dict[Precision, float]
    bytes: float


GPUS = (
    Gpu("A100", {"float32": 156e12, "bfloat16": 312e12}, 2.039e12),
    Gpu("H100", {"float32": 494.7e12, "bfloat16": 989.4e12}, 3.35e12),
)
"""NVIDIA's data sheets: A100 80GB SXM, https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/
nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf; H100 SXM5, https://resources.nvidia.com/en-us-tensor-core/
nvidia-tensor-core-gpu-datasheet, which gives twice these operations, for sparse matrices."""


def least_seconds(setting: Setting, gpu: Gpu, passes: float) -> tuple[float, str]:
    """Least seconds per update, and what limits it."""
    precision = "mixed_bfloat16" if setting.precision == "bfloat16" else "float32"
    one = cost(setting.architecture, replace(recipe_for(setting), precision=precision), passes)
    arithmetic, memory = one.operations / gpu.operations[setting.precision], one.bytes / gpu.bytes
    return max(arithmetic, memory), "memory" if memory > arithmetic else "arithmetic"


def table() -> Table:
    """Bounds for the paper's nets on each GPU: images per second, time per update, and where arithmetic limits it."""
    rows = []
    for net, batch_size in NETS:
        for precision in get_args(Precision):
            setting = Setting("jax", net, batch_size, precision)  # the same for each backend
            work = cost(setting.architecture, recipe_for(setting))
            cells = [f"{work.operations / 1e9:,.0f}"]
            for gpu in GPUS:
                for passes in (LEAST_PASSES, OP_BY_OP):
                    seconds, limit = least_seconds(setting, gpu, passes)
                    by = ", arithmetic" if limit == "arithmetic" else ""
                    cells.append(f"{_rounded(batch_size / seconds)} ({float(f'{1e3 * seconds:.2g}'):g} ms{by})")
            rows.append((net, precision, str(batch_size), str(setting.architecture.image_size), *cells))
    head = [f"{gpu.name} {way}" for gpu in GPUS for way in ("fused", "op by op")]
    return Table(("net", "precision", "batch", "pixels", "GFLOP", *head), tuple(rows))


def _rounded(rate: float) -> str:
    """The rate to three digits: peaks are not known more precisely."""
    return f"{float(f'{rate:.3g}'):,.0f}"


def measured_table(results: Iterable[dict[str, Any]]) -> Table:
    """What `training.py` measured, beside what the GPU could do."""
    rows = []
    for one in results:
        if "median" not in one:
            continue
        setting, rate = Setting(**one["setting"]), one["median"]["train"]
        gpu = next((gpu for gpu in GPUS if gpu.name in one["device"]), None)
        shares = [
            "" if gpu is None else f"{rate * least_seconds(setting, gpu, passes)[0] / setting.batch_size:.2f}"
            for passes in (LEAST_PASSES, OP_BY_OP)
        ]
        native = one["median_ratio"].get("train / native loop")
        size, ratio = str(setting.architecture.image_size), "" if native is None else f"{native:.2f}"
        what = setting.net, setting.backend, setting.precision, str(setting.batch_size), size
        rows.append((*what, one["device"], f"{rate:,.0f}", ratio, *shares))
    head = ("net", "backend", "precision", "batch", "pixels", "device", "`train`, images/s", "/ native loop")
    return Table((*head, "of fused", "of op by op"), tuple(rows))


def program(arguments: Sequence[str]) -> None:
    parser = OneLineParser(__doc__, computes=False)
    parser.add_argument("--measured", nargs="+", type=file_path, metavar="FILE", default=[],
                        help="JSON files from benchmarks/training.py --json; others are skipped")  # fmt: skip
    parser.add_argument("--markdown", type=file_path, metavar="FILE", help="write the tables to this file")
    options = parser.parse(arguments)
    tables = [table()]
    if found := [one for path in options.measured for one in _results(path)]:
        tables.append(measured_table(found))
    text = "\n".join(one.markdown() for one in tables)
    print(text)
    if options.markdown:
        storage.atomic_write(options.markdown, text.encode())


def _results(path: Path) -> list[dict[str, Any]]:
    read = json.loads(path.read_text(encoding="utf-8"))
    return [one for one in read if isinstance(one, dict) and "setting" in one] if isinstance(read, list) else []


if __name__ == "__main__":
    main(program)
