"""What the tests of selections share: the definition, and scores of any dtype with many ties."""

import torch
from hypothesis import strategies as st

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)


def keep(rows):
    return torch.tensor(rows, dtype=torch.bool)


def by_sorting(scores, removed, earlier=None):
    """The definition, slowly: first what is removed already, then the lowest scores, among equal scores the later."""
    flat = scores.flatten().tolist()
    kept = torch.ones(len(flat), dtype=torch.bool) if earlier is None else earlier.flatten().clone()
    removed = max(removed, int((~kept).sum()))
    kept[sorted(range(len(flat)), key=lambda i: (bool(kept[i]), flat[i], -i))[:removed]] = False
    return kept.view(scores.shape)


tensors = st.tuples(
    st.integers(1, 6), st.integers(1, 12), st.sampled_from(DTYPES), st.integers(1, 30), st.integers(0, 2**31)
).map(lambda t: torch.randint(0, t[3], t[:2], generator=torch.Generator().manual_seed(t[4])).double().div(8).to(t[2]))
shares = st.floats(0, 1)
