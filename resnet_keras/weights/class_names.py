"""The class names in a `.keras` file, whoever wrote it."""

import io
import zipfile
import zlib

from resnet_keras.spec.class_names import ClassNames
from resnet_keras.weights.archive import MAX_METADATA, METADATA, are_class_names
from resnet_keras.weights.strict_json import parse_json


def class_names_in(data: bytes) -> ClassNames | None:
    """The names of the classes of the net in a file; None where the file has none, or none that can be read.

    Args:
        data: the bytes of the file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo(METADATA).file_size > MAX_METADATA:
                return None
            names = parse_json(archive.read(METADATA)).get("class_names")
    except (KeyError, ValueError, AttributeError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return None
    return tuple(names) if isinstance(names, list) and are_class_names(names, len(names)) else None
