"""Text as token windows: every document ends, every window is read once before any is read twice."""

import json

import numpy as np
import pytest

from alidade.errors import DataError
from alidade.progress import SilentProgress
from alidade.training.corpus import plan_windows, tokenise
from alidade.training.pretrain import PAD_TOKEN, STOP_TOKEN, train_tokenizer


def tokenizer():
    return train_tokenizer(["the cat sat on the mat 12 34"] * 3, 300)


def write(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_every_document_is_followed_by_the_stop_token(tmp_path):
    learned = tokenizer()
    tokens = tokenise(learned, write(tmp_path / "train.jsonl", ["the cat", "mat"]), None, SilentProgress())
    expected = [*learned.encode("the cat"), learned.eos_token_id, *learned.encode("mat"), learned.eos_token_id]
    assert tokens.tolist() == expected


def test_the_name_of_a_control_token_in_a_document_is_plain_text(tmp_path):
    learned = tokenizer()
    tokens = tokenise(learned, write(tmp_path / "train.jsonl", [STOP_TOKEN]), None, SilentProgress())
    assert tokens.tolist().count(learned.eos_token_id) == 1
    assert len(tokens) > 5


def test_the_cache_holds_the_same_tokens_and_follows_the_file(tmp_path):
    learned, path = tokenizer(), write(tmp_path / "train.jsonl", ["the cat", "mat"])
    cache = tmp_path / "cache"
    first = tokenise(learned, path, cache, SilentProgress())
    again = tokenise(learned, path, cache, SilentProgress())
    assert first.tolist() == again.tolist() == tokenise(learned, path, None, SilentProgress()).tolist()
    write(path, ["the mat"])
    assert tokenise(learned, path, cache, SilentProgress()).tolist() != first.tolist()


@pytest.mark.parametrize("line", ["not json", '["text"]', '{"txet": "x"}', "3"])
def test_a_bad_row_is_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "good"}\n' + line + "\n")
    with pytest.raises(DataError) as caught:
        tokenise(tokenizer(), path, None, SilentProgress())
    assert caught.value.where == f"{path}:2"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        tokenise(tokenizer(), tmp_path / "train.jsonl", None, SilentProgress())


def test_windows_are_shared_out_by_weight():
    plan = plan_windows([10_000, 10_000], [0.7, 0.3], rows=101, context=16, seed=0)
    assert np.bincount(plan.sources).tolist() == [71, 30]


def test_windows_fit_and_do_not_overlap_within_a_pass():
    context, size = 16, 1000
    plan = plan_windows([size], [1.0], rows=61, context=context, seed=3)
    starts = np.sort(plan.starts)
    assert starts.min() >= 0
    assert starts.max() + context + 1 <= size
    assert (np.diff(starts) >= context).all()


def test_a_small_source_is_read_again_at_another_offset():
    plan = plan_windows([100], [1.0], rows=50, context=16, seed=1)
    assert len(set((plan.starts % 16).tolist())) > 1
    assert plan.starts.max() + 17 <= 100


def test_a_source_of_exactly_one_window_can_be_read():
    plan = plan_windows([17], [1.0], rows=3, context=16, seed=0)
    assert plan.starts.tolist() == [0, 0, 0]


def test_equal_seeds_give_equal_plans_and_others_do_not():
    one, two, other = (plan_windows([5000, 900], [1, 1], 40, 16, seed) for seed in (0, 0, 1))
    assert one.starts.tolist() == two.starts.tolist()
    assert one.starts.tolist() != other.starts.tolist()


def test_the_tokenizer_gives_back_any_text_and_splits_digits():
    learned = tokenizer()
    text = "Zoë sat 1234 times\n\n on the 猫 \t."
    assert learned.decode(learned.encode(text)) == text
    assert len(learned.encode("1234")) == 4


def test_stop_and_pad_tokens_differ():
    learned = tokenizer()
    assert (learned.eos_token, learned.pad_token) == (STOP_TOKEN, PAD_TOKEN)
    assert learned.eos_token_id != learned.pad_token_id
