import torch
from transformers import BertConfig

from pruning_course.lab import MeanPooledClassifier
from pruning_course.lab.constants import constant_parts


def make():
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        num_labels=3,
    )
    model = MeanPooledClassifier(config).eval()
    for block in model.bert.encoder.layer:
        torch.nn.init.normal_(block.attention.self.value.bias)
    return model


BATCH = {
    "input_ids": torch.tensor([[1, 2, 3], [4, 5, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1], [1, 1, 0]]),
    "labels": torch.zeros(2, 3),
}


def test_a_head_without_value_weights_is_constant_and_one_without_bias_has_no_constant():
    model = make()
    value = model.bert.encoder.layer[1].attention.self.value
    value.weight.data[:4], value.bias.data[4:] = 0, 0
    found = constant_parts(model, BATCH)
    assert found.share.shape == found.cosine.shape == (2, 2)
    assert torch.allclose(found.share[1], torch.tensor([1.0, 0.0]), atol=1e-5)
    assert (found.share[0] > 0).all() and (found.cosine.abs() <= 1).all()


def test_a_part_that_is_longer_than_the_whole_points_against_the_rest():
    model = make()
    hooks = []
    for block in model.bert.encoder.layer:
        value = block.attention.self.value
        value.weight.data.zero_()
        # The rest is the opposite of half the bias, for every token: the whole is half as long as the constant.
        hooks.append(value.register_forward_hook(lambda layer, _, output: output - layer.bias / 2))
    found = constant_parts(model, BATCH)
    assert torch.allclose(found.share, torch.full((2, 2), 2.0), atol=1e-4)
    assert torch.allclose(found.cosine, torch.full((2, 2), -1.0), atol=1e-4)


def test_padding_does_not_count_and_no_hook_stays():
    model = make()
    longer = {"input_ids": torch.tensor([[1, 2, 3, 0], [4, 5, 0, 0]]), "attention_mask": torch.zeros(2, 4).long()}
    longer["attention_mask"][0, :3], longer["attention_mask"][1, :2] = 1, 1
    for part, again in zip(constant_parts(model, BATCH), constant_parts(model, longer), strict=True):
        assert torch.allclose(part, again, atol=1e-5)
    assert not any(module._forward_pre_hooks for module in model.modules())
