"""Scores on disk: adding a net to an ensemble costs one net."""

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from resnet_keras.data.photographs.split import Split
from resnet_keras.data.small.images import ImageData
from resnet_keras.evaluation.classifier import Classifier
from resnet_keras.evaluation.protocol import Protocol
from resnet_keras.evaluation.score import score
from resnet_keras.runs import storage

CACHE_VERSION = 3
"""Counts changes of what is computed: scores of an older version are not read."""


@dataclass(frozen=True)
class Cache:
    """Scores on disk: adding a net to an ensemble costs one net.

    Attributes:
        folder: one file for each net, data, protocol and limit; None keeps nothing.
    """

    folder: Path | None

    def score(
        self,
        classifier: Classifier,
        data: Split | ImageData,
        protocol: Protocol,
        *,
        limit: int | None = None,
        console: Console | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`score`, or what an earlier call of it gave.

        Raises:
            OSError: the folder cannot be written.
        """
        if self.folder is None:
            return score(classifier, data, protocol, limit=limit, console=console)
        key = json.dumps(
            {
                "version": CACHE_VERSION,
                "model": classifier.sha256,
                "preprocessing": classifier.preprocessing,
                # Photographs are known by what is in them: names and sizes stay where one is edited.
                "data": data.limited(limit).contents() if isinstance(data, Split) else data.fingerprint,
                "views": repr(protocol.views(classifier.image_size)),
                "limit": limit,
            }
        )
        path = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        # A damaged file counts as none: it is computed again and replaced.
        with suppress(Exception), np.load(path) as file:
            if str(file["key"]) == key:
                return file["scores"], file["labels"]
        scores, labels = score(classifier, data, protocol, limit=limit, console=console)
        file = io.BytesIO()
        np.savez(file, key=np.array(key), scores=scores, labels=labels)
        storage.atomic_write(path, file.getvalue())
        return scores, labels
