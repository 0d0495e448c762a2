"""A reader's model and tokenizer, and whether they fit each other and the texts."""

import pytest
from helpers.classifier import NAMES, WORDS, save_classifier, save_csv, save_gpt2, save_tokenizer, texts
from transformers import AutoTokenizer, BertModel, ViTConfig

from pruning_course.experiments import Settings, Source, execute, load_task


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return Source(save_classifier(folder / "model"), save_csv(folder / "texts.csv"))


def test_a_model_without_a_trained_head_is_refused(tmp_path, own):
    BertModel.from_pretrained(own.model).save_pretrained(tmp_path / "body")
    AutoTokenizer.from_pretrained(own.model).save_pretrained(tmp_path / "body")
    with pytest.raises(ValueError, match=r"has no trained weights for classifier.bias"):
        load_task(Source(str(tmp_path / "body"), own.data))
    with pytest.raises(ValueError, match=r"The model .*nothing cannot be loaded"):
        load_task(Source(str(tmp_path / "nothing"), own.data))


def test_a_model_that_is_no_classifier_of_texts_is_refused(tmp_path, own):
    ViTConfig(**NAMES).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded: Unrecognized configuration class") as caught:
        load_task(Source(str(tmp_path), own.data))
    assert "\n" not in str(caught.value)
    save_classifier(tmp_path / "regression", problem_type="regression")
    with pytest.raises(ValueError, match="was made for regression; it must be a classifier"):
        load_task(Source(str(tmp_path / "regression"), own.data))


@pytest.mark.parametrize("family", ["Bert", "XLMRoberta", "Albert", "DebertaV2", "MPNet"])
def test_a_model_whose_tokenizer_is_missing_is_refused(tmp_path, own, family):
    """transformers makes one that knows no word, or raises."""
    folder = tmp_path / "model"
    save_classifier(folder, family)
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    with pytest.raises(ValueError, match=r"has no tokenizer; save|The tokenizer of the model .* cannot be loaded"):
        load_task(Source(str(folder), own.data))


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path, own):
    save_classifier(tmp_path / "model")
    save_tokenizer(tmp_path / "model", [*WORDS, "wow"])
    with pytest.raises(ValueError, match="has 15 tokens, but the model has embeddings for 14"):
        load_task(Source(str(tmp_path / "model"), own.data))
    save_classifier(tmp_path / "padded", vocab_size=64)  # rows that no token uses are common
    assert load_task(Source(str(tmp_path / "padded"), own.data)).make_model().config.vocab_size == 64


def test_a_tokenizer_without_padding_gets_some(tmp_path, own):
    source = Source(save_gpt2(tmp_path / "with", eos_token="[SEP]"), own.data)
    assert load_task(source).make_model().config.pad_token_id == 3
    assert execute(Settings(fine_tune_epochs=1), source)["status"] == "done"
    with pytest.raises(ValueError, match="neither a padding token nor an end-of-text token"):
        load_task(Source(save_gpt2(tmp_path / "without"), own.data))


@pytest.mark.parametrize("empty", ["", " ", '"\n"'])
def test_a_text_without_any_token_is_refused_with_its_row(tmp_path, own, empty):
    rows = texts(30)
    rows[7], rows[20] = (empty, "eye"), (empty, "ear")
    data = save_csv(tmp_path / "texts.csv", rows)
    with pytest.raises(ValueError, match=r"no token in 2 of 30 texts of .*, the first in row 8, .*; remove these rows"):
        load_task(Source(save_gpt2(tmp_path / "model", eos_token="[SEP]"), data))
    load_task(Source(own.model, data))  # BERT's tokenizer adds tokens to every text


@pytest.mark.parametrize(
    ("family", "positions", "longest"),
    [
        ("Bert", 32, 32),
        ("Bert", 4096, 512),
        ("DebertaV2", 32, 32),
        ("Roberta", 32, 31),  # positions are counted from the one after that of padding, 0 here
        ("XLMRoberta", 32, 31),
        ("MPNet", 32, 30),  # its padding is always 1
    ],
)
def test_texts_are_cut_to_what_the_model_can_take(tmp_path, own, family, positions, longest):
    rows = [*texts(30), ("eye " * 600, "eye"), ("ear " * 599, "ear"), ("bone " * 598, "bone")]
    data = save_csv(tmp_path / "texts.csv", rows)
    task = load_task(Source(save_classifier(tmp_path / "model", family, max_position_embeddings=positions), data))
    batches = task.draw_batches(99, seed=0) + task.batches("validation")
    model = task.make_model()
    for batch in batches:
        model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    assert max(batch["input_ids"].shape[1] for batch in batches) == task.max_length == longest
