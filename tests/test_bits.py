import pytest
import torch

from pruning_course.masks.bits import PIECE, values_at, zero_unless

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_zeros_for_any_dtype(dtype):
    tensor = torch.tensor([[1.5, -2.0, 0.5], [-0.25, 4.0, -1.0]]).to(dtype)
    keep = torch.tensor([[True, False, True], [False, True, False]])
    assert values_at(tensor, ~keep).float().tolist() == [-2.0, -0.25, -1.0]
    zero_unless(tensor, keep)
    assert tensor.float().tolist() == [[1.5, 0, 0.5], [0, 4, 0]]
    assert not torch.signbit(tensor.float()).any()


def test_values_of_a_tensor_of_many_pieces_and_of_a_transposed_one():
    tensor = torch.randn(3, PIECE)
    where = tensor > 0
    assert torch.equal(values_at(tensor, where), tensor[where])
    assert torch.equal(values_at(tensor.t(), where.t()), tensor.t()[where.t()])
    assert values_at(torch.empty(0), torch.empty(0, dtype=torch.bool)).numel() == 0
