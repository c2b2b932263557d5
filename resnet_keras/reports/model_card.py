"""The model card of a finished run: what a reader needs to trust its number, from the run folder alone."""

from resnet_keras.reports.published import cifar10_error
from resnet_keras.runs.reading import MODEL, Run

MAX_NAMES = 20
"""Classes that a card names; `run.json` and the model file name all."""


def model_card(run: Run) -> str:
    """The card in Markdown.

    Args:
        run: one that has ended.
    """
    assert run.results is not None
    settings = run.settings
    net, data, recipe = settings["architecture"], settings["data"], settings["recipe"]
    hardware, versions = settings.get("hardware", {}), settings.get("versions", {})
    results, file = run.results, (settings.get("files") or {}).get(MODEL, {})
    published = cifar10_error(run.name) if run.follows_paper else None
    test = "none" if results.test_error is None else f"{results.test_error:.2f}"
    protocol = (
        "the paper's schedule, images and protocol (section 4.2)"
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
        (
            "schedule",
            f"{recipe['iterations']:,} iterations of {recipe['batch_size']} images, learning rate "
            f"{recipe['learning_rate']:g}, {run.recipe.schedule}, {recipe['precision']}",
        ),
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
    table = "".join(f"| {name} | {value} |\n" for name, value in rows)
    return (
        f"# {run.name}, seed {settings['seed']}\n\n| | |\n| --- | --- |\n{table}\n"
        f"`keras.models.load_model({MODEL!r})` takes RGB pixels 0..255 of shape (n, {data['image_size']}, "
        f"{data['image_size']}, 3) and returns probabilities. It was trained with resnet_keras (Apache-2.0); what "
        "differs from the paper is in docs/deviations.md.\n"
    )
