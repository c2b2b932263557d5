"""Scores on disk: adding a net to an ensemble means scoring that net alone."""

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
"""Counts changes to what is computed; scores of an older version are not read."""


@dataclass(frozen=True)
class Cache:
    """Scores on disk: adding a net to an ensemble means scoring that net alone.

    Attributes:
        folder: holds one file per net, data, protocol and limit; None keeps nothing.
    """

    folder: Path | None

    def score(
        self,
        classifier: Classifier,
        data: Split | ImageData,
        protocol: Protocol,
        *,
        limit: int | None = None,
        workers: int | None = None,
        console: Console | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The result of `score`, or the stored result of an earlier call.

        Raises:
            OSError: the folder cannot be written.
        """
        if self.folder is None:
            return score(classifier, data, protocol, limit=limit, workers=workers, console=console)
        key = json.dumps(
            {
                "version": CACHE_VERSION,
                "model": classifier.sha256,
                "preprocessing": classifier.preprocessing,
                # Photographs are identified by content: names and sizes can stay the same when one is edited.
                "data": data.limited(limit).contents() if isinstance(data, Split) else data.fingerprint,
                "views": repr(protocol.views(classifier.image_size)),
                "limit": limit,
            }
        )
        path = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        # A damaged file is ignored: the scores are computed again and replace it.
        with suppress(Exception), np.load(path) as file:
            if str(file["key"]) == key:
                return file["scores"], file["labels"]
        scores, labels = score(classifier, data, protocol, limit=limit, workers=workers, console=console)
        file = io.BytesIO()
        np.savez(file, key=np.array(key), scores=scores, labels=labels)
        storage.atomic_write(path, file.getvalue())
        return scores, labels
