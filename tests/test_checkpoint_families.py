"""Any transformers model from which nothing was cut can be saved and loaded, whether its blocks are known or not."""

import json

import pytest
import torch
import transformers
from torch import nn

from pruning_course import MagnitudePruner, load_pruned, save_pruned

SMALL = {
    **{"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}
GROUPED = SMALL | {"num_key_value_heads": 2, "head_dim": 4}
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
PICTURE = VISION | {"image_size": 16, "patch_size": 8}
SEQUENCES = {
    **{"vocab_size": 64, "d_model": 16, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 64},
    **{"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2},
}
MODELS = {
    "RoFormerForSequenceClassification": SMALL,
    "XLMRobertaForMaskedLM": SMALL,  # its output weights are tied to the embedding
    "CamembertForSequenceClassification": SMALL,
    "ElectraForSequenceClassification": SMALL,
    "DebertaV2ForSequenceClassification": SMALL,
    "AlbertForMaskedLM": SMALL,  # all blocks share one set of weights
    "MPNetForSequenceClassification": SMALL,
    "ModernBertForSequenceClassification": SMALL,
    "OPTForCausalLM": SMALL,
    "Qwen3ForCausalLM": GROUPED,
    "Gemma2ForCausalLM": GROUPED,
    "MixtralForCausalLM": GROUPED,  # older files call its weights by other names, and so do those of ViT
    "ViTForImageClassification": PICTURE,
    "ResNetForImageClassification": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_channels": 3},
    "BartForConditionalGeneration": SEQUENCES,
}


def make(name: str) -> transformers.PreTrainedModel:
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    return kind(kind.config_class(**MODELS[name])).eval()


def logits(model: transformers.PreTrainedModel) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        if "pixel_values" in model.main_input_name:
            return model(torch.randn(2, 3, 16, 16, generator=generator)).logits
        return model(torch.randint(3, 60, (2, 6), generator=generator)).logits


@pytest.mark.parametrize("name", MODELS)
def test_what_is_loaded_computes_exactly_what_was_saved(name, tmp_path):
    model = make(name)
    pruner = MagnitudePruner(model, 0.5)
    pruner.prune()
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert type(again) is type(model) and (logits(again) - logits(model)).abs().max() == 0.0
    state = again.state_dict()
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
    assert again.num_parameters() == model.num_parameters()  # what was tied is tied
    theirs = type(model).from_pretrained(tmp_path / "model").eval()
    assert torch.allclose(logits(theirs), logits(model), atol=1e-6)


def test_blocks_that_are_not_known_are_said_to_be_none(tmp_path):
    save_pruned(make("RoFormerForSequenceClassification"), tmp_path / "model")
    path = tmp_path / "model" / "pruning.json"
    about = json.loads(path.read_text())
    assert about["format"] == 1 and about["blocks"] == {}
    path.write_text(json.dumps(about | {"blocks": "none"}))
    with pytest.raises(ValueError, match=r"pruning\.json is damaged"):
        load_pruned(tmp_path / "model")


def test_what_was_cut_out_of_an_unknown_family_is_refused(tmp_path):
    model = make("RoFormerForSequenceClassification")
    block = model.roformer.encoder.layer[0]
    block.intermediate.dense, block.output.dense = nn.Linear(16, 20), nn.Linear(20, 16)
    with pytest.raises(ValueError, match=r"could not be loaded again .*intermediate\.dense\.\w+ is \(20,.*\(24,"):
        save_pruned(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())
