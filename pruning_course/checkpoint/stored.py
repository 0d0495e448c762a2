"""A tensor in a safetensors file: read and changed by itself, without the rest of the file."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pruning_course.masks.bits import zero_unless

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


@dataclass(frozen=True)
class Stored:
    """A tensor in a safetensors file: where its bytes are, and what they mean."""

    file: Path
    offset: int  # bytes from the beginning of the file
    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None: not a float
    nbytes: int

    def read(self) -> Tensor:
        """Return the tensor in memory of its own, because what is mapped counts as memory while the file is open."""
        raw = np.fromfile(self.file, dtype=np.uint8, count=self.nbytes, offset=self.offset)
        assert self.dtype is not None
        return torch.from_numpy(raw).view(self.dtype).view(self.shape)

    def prune(self, keep: Tensor) -> None:
        """Set the stored numbers to 0 where `keep` is False."""
        tensor = self.read()
        zero_unless(tensor, keep)
        with open(self.file, "r+b") as file:
            file.seek(self.offset)
            file.write(tensor.view(-1).view(torch.uint8).numpy().data)


def read_header(file: Path) -> dict[str, Stored]:
    """Return the tensors of a file by name. It begins with the length of a JSON object, which says where they are."""
    try:
        with safe_open(file, framework="pt"):  # checks the header and the length of the file
            pass
    except SafetensorError as error:
        raise ValueError(f"{file} is not a valid safetensors file: it is truncated or damaged ({error}).") from error
    with open(file, "rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    header.pop("__metadata__", None)
    return {
        name: Stored(file, 8 + size + start, tuple(about["shape"]), DTYPES.get(about["dtype"]), end - start)
        for name, about in header.items()
        for start, end in [about["data_offsets"]]
    }
