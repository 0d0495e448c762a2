import os
import sys
from pathlib import Path

import torch

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))  # tests/helpers
torch.set_num_threads(1)  # tiny tensors gain nothing from more, and wait long for them on a busy machine
