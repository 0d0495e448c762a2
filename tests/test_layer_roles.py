"""What the layers of a block are for."""

from helpers.models import SMALL
from transformers import BertConfig, BertModel

from pruning_course.models import prunable_layers


def test_cross_attention_belongs_to_the_blocks_and_to_neither_part_of_them():
    model = BertModel(BertConfig(**SMALL, is_decoder=True, add_cross_attention=True))
    inside = [name for name in prunable_layers(model, "encoder") if name.startswith("encoder.layer.0.")]
    attention, ffn = prunable_layers(model, "attention"), prunable_layers(model, "ffn")
    other = [name for name in inside if name not in attention and name not in ffn]
    assert other == [
        f"encoder.layer.0.crossattention.{name}" for name in ("self.query", "self.key", "self.value", "output.dense")
    ]
    assert (len(inside), len(attention), len(ffn)) == (10, 8, 4)
