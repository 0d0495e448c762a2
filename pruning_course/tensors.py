"""Tensors in safetensors files."""

import os

from safetensors import SafetensorError, safe_open
from torch import Tensor


def read_tensors(path: str | os.PathLike[str], what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file by name, mapped into memory, and the metadata of the file.

    Raises ValueError if the file is truncated or damaged; the message calls it a `what`, such as "mask file".
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{os.fspath(path)} is not a valid {what}: it is truncated or damaged ({error}).") from error
