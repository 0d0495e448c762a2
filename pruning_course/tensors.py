"""Tensors in safetensors files."""

import os

from safetensors import SafetensorError, safe_open
from torch import Tensor


def read_tensors(path: str | os.PathLike[str], what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by their names, mapped into memory, and its metadata.

    Raises ValueError if the file is not a whole safetensors file; the message calls it a `what`, such as "mask file".
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{os.fspath(path)} is not a valid {what}: it is truncated or damaged ({error}).") from error
