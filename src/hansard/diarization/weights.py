"""The weights of a PyTorch checkpoint, read without PyTorch.

A checkpoint is a zip file: one pickle, and a file of numbers for each tensor. Unpickling can run code, so a file is
only opened when it is, byte for byte, the one that was looked at; and the names in its pickle are let in one by one.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]

_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def sha256_of(path: Path) -> str:
    """64 hex digits."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_weights(path: Path, *, expected_sha256: str) -> Weights:
    """The tensors of a checkpoint, by name. Raises `ValueError` for another file than that, `OSError` for none."""
    if (found := sha256_of(path)) != expected_sha256:
        raise ValueError(f"{path} is not the file that is expected: its SHA-256 is {found}")
    with ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        unpickler = _Unpickler(
            BytesIO(archive.read(f"{root}/data.pkl")), lambda key: archive.read(f"{root}/data/{key}")
        )
        return cast("Weights", dict(unpickler.load()))


class _Unpickler(pickle.Unpickler):
    """Knows ordered dictionaries and tensors, and refuses everything else."""

    def __init__(self, file: BytesIO, storage: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str, /) -> object:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"a checkpoint has no business with {module}.{name}")

    def persistent_load(self, pid: tuple[str, str, str, str, int]) -> NDArray[Any]:
        """`pid` is how PyTorch refers to a tensor's numbers: "storage", type, key, device, count."""
        _, kind, key, _, count = pid
        return np.frombuffer(self._storage(key), _DTYPES[kind], count)


def _tensor(storage: NDArray[Any], offset: int, shape: Sequence[int], *_: object) -> NDArray[Any]:
    """Contiguous, as checkpoints are written."""
    return storage[offset : offset + prod(shape)].reshape(shape)
