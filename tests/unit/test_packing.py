"""Packed rows: which state predicts which token, and where answers end."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alidade.training.packing import Tree, pack_rows, pack_trees, pack_windows, split_by_budget


def test_the_prompts_last_token_predicts_the_first_token_of_every_answer():
    packed = pack_trees([Tree([1, 2, 3], [[4, 5], [6]])])
    assert packed.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert packed.predictors.tolist() == [2, 3, 2]
    assert packed.targets.tolist() == [4, 5, 6]
    assert packed.ends.tolist() == [4, 5]
    assert packed.lengths == (2, 1)


def test_answers_continue_the_positions_of_their_prompt():
    packed = pack_trees([Tree([1, 2], [[3], [4, 5]]), Tree([6], [[7]])])
    assert packed.segments.position_ids[0].tolist() == [0, 1, 2, 2, 3, 0, 1]


def test_rows_train_exactly_their_marked_tokens():
    packed = pack_rows([([1, 2, 3, 4], [False, False, True, True]), ([5, 6, 7], [False, True, False])])
    assert packed.predictors.tolist() == [1, 2, 4]
    assert packed.targets.tolist() == [3, 4, 6]
    assert packed.lengths == (2, 1)
    assert packed.ends.tolist() == [3, 6]


def test_a_rows_first_token_is_never_a_target_because_nothing_predicts_it():
    packed = pack_rows([([9, 8], [True, True]), ([7], [True])])
    assert packed.targets.tolist() == [8]


@pytest.mark.parametrize("tree", [Tree([], [[1]]), Tree([1], [[]])])
def test_a_tree_without_prompt_or_with_an_empty_answer_is_refused(tree):
    with pytest.raises(ValueError, match="needs a prompt"):
        pack_trees([tree])


@given(st.lists(st.integers(1, 50)), st.integers(1, 100))
def test_blocks_cover_every_row_once_in_order_within_the_budget(sizes, budget):
    blocks = split_by_budget(sizes, budget)
    assert [place for block in blocks for place in block] == list(range(len(sizes)))
    assert all(sum(sizes[place] for place in block) <= budget or len(block) == 1 for block in blocks)


def test_moving_to_the_cpu_changes_nothing():
    packed = pack_rows([([1, 2], [False, True])])
    assert packed.to(torch.device("cpu")) is packed


def test_windows_predict_every_token_but_each_rows_first():
    packed = pack_windows(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    assert packed.ids.tolist() == [1, 2, 4, 5]
    assert packed.targets.tolist() == [2, 3, 5, 6]
    assert packed.predictors.tolist() == [0, 1, 2, 3]
    assert packed.segments.position_ids[0].tolist() == [0, 1, 0, 1]
