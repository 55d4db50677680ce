from itertools import pairwise
from pathlib import Path

import pytest

from alidade.errors import DataError
from alidade.preferences import read_comparisons, read_demonstrations, read_prompts, split_by_prompt

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the project's public data are not beside the repository"),
]


@pytest.mark.parametrize(
    ("name", "fmt", "rows", "records", "dropped"),
    [
        ("hh_harmless_base_test", "preference", 1717, 1713, {"empty answer": 4}),
        ("hhh_438", "preference", 205, 205, {}),
        ("llmfao_crowd", "crowd", 1511, 1314, {"empty answer": 197}),
        ("autoj_pairwise_human", "autoj", 950, 941, {"equal answers": 8, "empty answer": 1}),
        (
            "pandalm_3_annotators",
            "pandalm",
            687,
            655,
            {"empty answer": 25, "answer is true or false, not text": 6, "empty prompt": 1},
        ),
        ("llmbar", "llmbar", 345, 345, {}),
        ("llmbar_processed_human", "llmbar", 321, 320, {"equal answers": 1}),
        ("tulu1_human_eval", "tulu1", 880, 848, {"equal answers": 32}),
        ("oasst_ranked_sample", "oasst", 142, 539, {}),
        ("qa_feedback_dev", "qa-feedback", 362, 2172, {}),
    ],
)
def test_comparisons_of_people_are_read_and_what_is_dropped_is_counted(name, fmt, rows, records, dropped):
    path = DATA / "preferences" / f"{name}.jsonl.gz"
    loaded = read_comparisons(path, allow_dropped=0.14)
    assert (loaded.format, loaded.read, len(loaded.rows), loaded.dropped) == (fmt, rows, records, dropped)
    assert len({row.id for row in loaded.rows}) == records
    groups = [row.id.rpartition("/")[0] for row in loaded.rows]
    changes = sum(before != after for before, after in pairwise(groups))
    assert changes + 1 == len(set(groups))
    if dropped:
        with pytest.raises(DataError):
            read_comparisons(path)


@pytest.mark.parametrize(
    ("name", "fmt", "records"),
    [
        ("alpaca_demo", "alpaca", 993),
        ("cot_commonsense", "alpaca", 24711),
        ("gpteacher_roleplay", "alpaca", 3145),
        ("gsm8k_train", "question-answer", 7473),
        ("safety_tuned_responses", "alpaca", 2478),
        ("self_instruct_human", "alpaca", 427),
        ("t0_tasks", "prompt-response", 22248),
    ],
)
def test_instructions_are_read_whole(name, fmt, records):
    loaded = read_demonstrations(DATA / "instructions" / f"{name}.jsonl.gz")
    assert (loaded.format, loaded.read, len(loaded.rows), loaded.dropped) == (fmt, records, records, {})


def test_gsm8k_keeps_its_final_numbers_and_loses_its_calculator():
    loaded = read_demonstrations(DATA / "instructions" / "gsm8k_train.jsonl.gz", "gsm8k")
    assert all("\n#### " in row.answer for row in loaded.rows)
    assert not any("<<" in row.answer or ">>" in row.answer for row in loaded.rows)


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("preferences/hh_harmless_base_test", 1716),
        ("preferences/llmfao_crowd", 13),
        ("instructions/alpaca_instructions_only", 31255),
        ("redteam/do_not_answer", 448),
        ("redteam/advbench_behaviors", 233),
        ("evals/open_prompts", 447),
    ],
)
def test_prompts_are_read_each_once(name, records):
    assert len(read_prompts(DATA / f"{name}.jsonl.gz").rows) == records


def test_hh_conversations_end_with_the_user_and_alternate():
    rows = read_comparisons(DATA / "preferences" / "hh_harmless_base_test.jsonl.gz", allow_dropped=0.01).rows
    for row in rows:
        roles = [message.role for message in row.prompt.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert not any("\n\nHuman:" in answer for answer in (row.left, row.right))


def test_no_prompt_of_the_hh_comparisons_is_on_both_sides_of_the_split_or_among_the_prompts_learned_from():
    path = DATA / "preferences" / "hh_harmless_base_test.jsonl.gz"
    comparisons = split_by_prompt(read_comparisons(path, allow_dropped=0.01).rows, 0.2, seed=0)
    prompts = split_by_prompt(read_prompts(path).rows, 0.2, seed=0)
    kept_back = {row.prompt for row in comparisons.heldout}
    assert 0.1 < len(comparisons.heldout) / 1713 < 0.3
    assert not kept_back & {row.prompt for row in comparisons.train}
    assert not kept_back & {row.conversation for row in prompts.train}
