"""A tiny model, a tiny tokenizer and a tiny ontology: no unit test needs the wheels or the real model."""

import pytest
import torch
from helpers.classifier import WORDS
from transformers import BertConfig, BertTokenizerFast

from pruning_course.lab.encoder import MeanPooledClassifier

OBO = r"""format-version: 1.2
data-version: hp/releases/2025-01-16
ontology: hp.obo

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Phenotypic abnormality
def: "A phenotypic abnormality." []
is_a: HP:0000001 ! All

[Term]
id: HP:1
name: Abnormality of the eye
def: "Any abnormality of the eye." [X:1]
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:2
name: Neoplasm
def: "A \"tumour\" [of any kind]." [X:1, Y:2]
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:3
name: Abnormality of the voice
def: "Any abnormality of the voice." []
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:4
name: Eye tumour
def: "A tumour in the eye." []
is_a: HP:2 ! Neoplasm
is_a: HP:1 ! Abnormality of the eye

[Term]
id: HP:5
name: No definition
is_a: HP:1 ! Abnormality of the eye

[Term]
id: HP:6
name: Obsolete
def: "OBSOLETE." []
is_obsolete: true

[Term]
id: HP:7
name: Small eye tumour
def: "A small one." []
is_a: HP:4 ! Eye tumour

[Term]
id: HP:8
name: Mode of inheritance
def: "Not a sign." []
is_a: HP:0000001 ! All
"""


@pytest.fixture
def tiny_obo(tmp_path):
    path = tmp_path / "tiny.obo"
    path.write_text(OBO)
    return path


@pytest.fixture
def tiny_model():
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=2,
        initializer_range=0.3,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MeanPooledClassifier(config).eval()


@pytest.fixture
def tiny_tokenizer(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return BertTokenizerFast(str(path))
