import gc
import os
import sys
from pathlib import Path

import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))  # tests/helpers
gc.disable()  # until all is imported
torch.set_num_threads(1)  # tiny tensors gain nothing from more, and wait long for them on a busy machine


def pytest_collection_finish() -> None:
    """What has been imported stays, so the garbage collector need not walk over it, which takes it seconds."""
    gc.collect()
    gc.freeze()
    gc.enable()
