"""Model cards: what a reader needs to trust a net's error, from its run folder or from the report of a conversion."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from resnet_keras.reports.published import cifar10_error
from resnet_keras.runs.reading import MODEL, Run

MAX_NAMES = 20
"""The most classes that a card names; `run.json` and the model file name all."""


def model_card(run: Run) -> str:
    """The card of a run, in Markdown.

    Args:
        run: a run that has ended.
    """
    assert run.results is not None
    settings = run.settings
    net, data, recipe = settings["architecture"], settings["data"], settings["recipe"]
    hardware, versions = settings.get("hardware", {}), settings.get("versions", {})
    results, file = run.results, (settings.get("files") or {}).get(MODEL, {})
    published = cifar10_error(run.name) if run.follows_paper else None
    test = "none" if results.test_error is None else f"{results.test_error:.2f}"
    held_out = (
        "no images are held out, and validation errors are those of the test images"
        if run.all_images
        else "5,000 of its 50,000 training images are held out"
    )
    protocol = (
        f"the paper's schedule and protocol (section 4.2); {held_out}"
        if run.follows_paper
        else "not the paper's schedule or images: see below"
    )
    names = data.get("class_names") or []
    classes = ", ".join(names[:MAX_NAMES]) + (f", ... ({len(names):,})" if len(names) > MAX_NAMES else "")
    rows = [
        ("network", f"{run.name}: {net['depth']} weighted layers, {net['parameters']:,} parameters"),
        ("test error, %", test + (f" (the paper: {published:.2f})" if published else "")),
        ("training, validation error, %", f"{results.train_error:.2f}, {results.validation_error:.2f}"),
        ("protocol", protocol),
        ("schedule", f"{run.recipe}, {run.recipe.precision}"),
        (
            "data",
            f"{data['name']}, {data['train_images']:,} training, {data['validation_images']:,} validation, "
            f"{data['test_images']:,} test images of {data['image_size']} pixels; fingerprint {data['fingerprint']}",
        ),
        *((("classes", classes),) if classes else ()),
        ("seed", str(settings["seed"])),
        ("command", f"`{settings.get('command')}`"),
        ("commit", str(settings.get("commit"))),
        ("backend", f"{settings['backend']} {versions.get(settings['backend'], '')}, Keras {versions.get('keras')}"),
        ("hardware", f"{hardware.get('processor')}, {hardware.get('cores')} cores; {settings.get('device')}"),
        ("started, ended", f"{settings.get('started')}, {settings.get('ended')}"),
        (f"`{MODEL}`", f"SHA-256 {file['sha256']}" if file else "not kept"),
    ]
    if recipe.get("finetune"):
        start = recipe["finetune"]
        frozen = f"stages to number {start['stages']}" if start["stages"] else start["freeze"]
        told = (
            f"SHA-256 {start['weights']}; frozen: {frozen}; rate of old layers: {start['old_rate']:g} of the new one's"
        )
        rows.insert(1, ("fine-tuned from", told))
    return (
        f"# {run.name}, seed {settings['seed']}\n\n{_table(rows)}\n"
        f"`keras.models.load_model({MODEL!r})` takes RGB pixels 0..255 of shape (n, {data['image_size']}, "
        f"{data['image_size']}, 3) and returns probabilities. It was trained with resnet_keras (Apache-2.0); what "
        "differs from the paper is in docs/deviations.md.\n"
    )


class MeasuredError(NamedTuple):
    """The measured error of a converted net."""

    percent: float
    images: int
    on: str
    """Which images."""


def converted_card(
    report: Mapping[str, Any], file: str, sha256: str, error: MeasuredError | None = None, *, on: str = "noise"
) -> str:
    """The card of a converted net, in Markdown.

    Args:
        report: the conversion report, as `convert.Report.to_dict` returns it.
        file: name of the net's file.
        sha256: hash of that file.
        error: the measured error, if there is one.
        on: what the two nets were compared on.
    """
    size = report["image_size"]
    parity = (
        f"largest difference in probability {report['largest_difference']:.1e}, same top-1 class "
        f"{report['equal_top1']:.2%}, on {report['images']:,} images of {on}"
        if report["images"]
        else report["compared"]
    )
    pixels = report["preprocessing"]
    mean, std = (", ".join(f"{one:.5g}" for one in pixels[part]) for part in ("mean", "std"))
    rows = [
        (
            "network",
            f"{report['architecture']}: {report['depth']} weighted layers, {report['parameters']:,} parameters",
        ),
        ("weights of", f"{report['source']}, licence {report['licence'] or 'unknown: see the source'}"),
        ("source file", f"{report['kind']}, SHA-256 {report['sha256']}"),
        ("test error, %", f"{error.percent:.2f} on {error.images:,} images of {error.on}" if error else "not measured"),
        (
            "protocol",
            "as the source trained it, which its file does not say; not known to be the paper's",
        ),
        ("against the source's own computation", parity),
        ("images of the source", f"{pixels['channels']}, less {mean}, divided by {std}; done inside the net"),
        ("folded into the numbers", "; ".join(report["folded"]) or "nothing"),
        ("noted", "; ".join(report["notes"]) or "nothing"),
        (f"`{file}`", f"SHA-256 {sha256}"),
    ]
    return (
        f"# {report['architecture']}, weights of {report['source']}\n\n{_table(rows)}\n"
        f"`keras.models.load_model({file!r})` takes RGB pixels 0..255 of shape (n, {size}, {size}, 3) and returns "
        "probabilities. It was trained by others and converted with resnet_keras (Apache-2.0); the weights keep their "
        "own licence. Where the network differs from the paper's, docs/deviations.md says so.\n"
    )


def _table(rows: list[tuple[str, str]]) -> str:
    return "| | |\n| --- | --- |\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)
