"""A tiny model of three blocks for every family, each with 24 neurons and 4 attention heads, or 2 key-value heads."""

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers

SMALL = {
    **{"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4},
    **{"max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}
OTHER_NAMES = {  # instead of SMALL
    "DistilBert": {"vocab_size": 64, "dim": 16, "hidden_dim": 24, "n_layers": 3, "n_heads": 4},
    "GPT2": {"vocab_size": 64, "n_embd": 16, "n_inner": 24, "n_layer": 3, "n_head": 4, "n_positions": 64},
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 4, "tie_word_embeddings": False}
WINDOWS = GROUPED | {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
PICTURE = {"image_size": 16, "patch_size": 8}
DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 8}


@dataclass(frozen=True)
class Sample:
    """How to make a model of a family, and what the library should find in it."""

    kind: str  # the name of the class in transformers, up to "For"
    settings: dict[str, Any] = field(default_factory=dict)  # of the config, besides SMALL
    layers: tuple[int, int] = (4, 2)  # how many layers for attention and of the FFN a block has
    heads: int = 4
    task: str = "SequenceClassification"
    uncut: tuple[str, ...] = ()

    @property
    def is_decoder(self) -> bool:
        return self.task == "CausalLM"

    def make(self, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        kind = getattr(transformers, {"GPT2": "GPT2LMHeadModel"}.get(self.kind, f"{self.kind}For{self.task}"))
        return kind(kind.config_class(**OTHER_NAMES.get(self.kind, SMALL) | self.settings)).eval()

    def batch(self) -> dict[str, torch.Tensor]:
        torch.manual_seed(1)
        if self.task == "ImageClassification":
            return {"pixel_values": torch.randn(2, 3, 16, 16)}
        mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
        return {"input_ids": torch.randint(3, 64, (2, 7)), "attention_mask": mask}


def llama(kind: str, settings: dict[str, Any] = GROUPED) -> Sample:
    return Sample(kind, settings, (4, 3), 2, "CausalLM")


SAMPLES = {
    "bert": Sample("Bert"),
    "roberta": Sample("Roberta"),
    "xlm-roberta": Sample("XLMRoberta"),
    "camembert": Sample("Camembert"),
    "electra": Sample("Electra", {"embedding_size": 8}),
    "mpnet": Sample("MPNet", uncut=("head",)),
    "deberta-v2": Sample("DebertaV2", DEBERTA, (6, 2)),
    "deberta-v2, shared keys": Sample("DebertaV2", DEBERTA | {"share_att_key": True}),
    "distilbert": Sample("DistilBert"),
    "modernbert": Sample(
        "ModernBert", {"norm_bias": True, "attention_bias": True, "mlp_bias": True}, (2, 2), uncut=("layer",)
    ),
    "albert": Sample("Albert", {"embedding_size": 8}, heads=0, uncut=("neuron", "head", "layer")),
    "vit": Sample("ViT", PICTURE, task="ImageClassification"),
    "deit": Sample("DeiT", PICTURE, task="ImageClassification"),
    "gpt2": Sample("GPT2", layers=(2, 2), task="CausalLM"),
    "opt": Sample("OPT", {"ffn_dim": 24, "word_embed_proj_dim": 16}, task="CausalLM"),
    "llama": llama("Llama"),
    "mistral": llama("Mistral"),
    "qwen2": llama("Qwen2", WINDOWS | {"use_sliding_window": True}),
    "qwen3": llama("Qwen3", WINDOWS | {"use_sliding_window": True}),
    "smollm3": llama("SmolLM3", WINDOWS | {"use_sliding_window": True, "no_rope_layers": [0, 1, 0]}),
    "granite": llama("Granite", GROUPED | {"attention_multiplier": 0.3, "residual_multiplier": 0.7}),
    "gemma2": llama("Gemma2", WINDOWS),
    "gemma3_text": llama("Gemma3", WINDOWS),
    "phi3": Sample("Phi3", GROUPED, (2, 2), 2, "CausalLM", uncut=("head",)),
}
