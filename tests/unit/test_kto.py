"""Learning from feedback on single answers: where it starts, what it learns, what it refuses, counts and names."""

from collections import Counter

import pytest
import torch

from alidade.errors import DataError, RecipeError
from alidade.models.local import LocalModel
from alidade.models.render import Renderer
from alidade.pipeline import load_recipe, run
from alidade.preferences import unpaired
from alidade.records import Comparison, Conversation, Feedback, Ranking
from alidade.seeds import generator
from alidade.stages import load_all
from alidade.stages.judged import write_split
from alidade.stages.kto import _parts
from alidade.store import Artifact, Store
from alidade.training.feedback import (
    FeedbackGroup,
    ReferencedFeedback,
    add_strays,
    collate_feedback,
    feedback_groups,
    imbalance,
)
from alidade.training.fit import TrainingRun
from alidade.training.objectives.kto import AgainstStrays, KtoObjective, train_kto
from alidade.training.objectives.preference import tree_log_probs
from alidade.training.pretrain import new_model, train_tokenizer
from alidade.training.settings import Batching, KtoConfig, ModelShape, OptimiserConfig, RowLimits
from alidade.training.sources import ShuffledRows, Shuffling
from alidade.training.symptoms import symptoms
from alidade.training.trunk import prepare

SETTINGS = {"batching": Batching(epochs=6, rows=8), "optimiser": OptimiserConfig(learning_rate=3e-3)}
CPU = torch.device("cpu")


def model(seed=0):
    tokenizer = train_tokenizer(["User: what is red Assistant: yes no blue"] * 5, 320)
    module = new_model(ModelShape(hidden=32, ffn=64, layers=1, heads=1, context=64), tokenizer, seed)
    return LocalModel("tiny", prepare(module), tokenizer, Renderer(tokenizer), 64)


def feedback(place, answer, label_prob):
    return Feedback(id=str(place), prompt=Conversation.ask(f"what is {place}"), answer=answer, label_prob=label_prob)


def thumbs(places):
    """One answer to a prompt: `yes` is desirable, `no blue` is not."""
    return [feedback(place, *(("yes", 1.0) if place % 2 else ("no blue", 0.0))) for place in places]


def train(rows, heldout=(), learner=None, **settings):
    return train_kto(learner or model(), rows, heldout, KtoConfig(**SETTINGS | settings), TrainingRun())


def test_kto_starts_at_half_the_weights():
    first = train(thumbs(range(16)), desirable_weight=3.0).history[0]
    share = first["desirable"]
    assert first["loss"] == pytest.approx(0.5 * (3 * share + (1 - share)), abs=1e-4)
    assert first["reference_point"] == pytest.approx(0, abs=1e-4)


def test_kto_learns_which_answers_are_desirable_from_one_answer_a_prompt():
    heldout = thumbs(range(40, 60))
    result = train(thumbs(range(40)), heldout, beta=0.5)
    shifts, point = result.summary["shifts"], result.summary["reference_point"]
    assert all((shifts[place] > point) == (row.label_prob > 0.5) for place, row in enumerate(heldout))
    last = result.history[-1]
    assert last["loss"] < result.history[0]["loss"]
    assert last["desirable_shift"] > 0 > last["undesirable_shift"]
    assert last["accuracy"] == 1.0


def test_answers_as_likely_desirable_as_not_teach_nothing():
    learner = model()
    start = learner.module.get_input_embeddings().weight.clone()
    train([feedback(place, "yes", 0.5) for place in range(16)], learner=learner)
    assert torch.allclose(learner.module.get_input_embeddings().weight, start, atol=1e-4)


def cut(rows, tokens_at_once, learner):
    """Gradient and reference point of one step of all `rows`, cut into micro-batches."""
    shuffled = ShuffledRows(
        rows,
        lambda row: row.group.token_count,
        lambda chosen: collate_feedback(chosen, CPU),
        Shuffling(Batching(rows=len(rows), tokens_at_once=tokens_at_once), 0, "test"),
    )
    objective = KtoObjective(KtoConfig(beta=0.5, undesirable_weight=2.0))
    batches = next(iter(AgainstStrays(learner.module, shuffled)))
    learner.module.zero_grad()
    for batch in batches:
        (objective.loss(learner.module, batch).total / len(rows)).backward()
    gradient = torch.cat([weight.grad.flatten() for weight in learner.module.parameters()])
    return len(batches), batches[0].reference_point, gradient


def test_eight_prompts_at_once_equal_eight_times_one_prompt():
    learner = model()
    groups, _ = feedback_groups(learner.renderer, [feedback(n, "no " * (1 + n), n % 2) for n in range(8)], 64)
    add_strays(groups, 64, generator(0, "test"))
    rows = []
    for group in groups:
        answers, strays = (tree_log_probs(learner.module, [tree], 4096)[0] for tree in (group.tree, group.stray_tree))
        rows.append(ReferencedFeedback(group, answers, [value - 0.5 for value in strays]))
    whole, apart = cut(rows, 4096, learner), cut(rows, 1, learner)
    assert (whole[0], apart[0]) == (1, 8)
    assert whole[1] == pytest.approx(0.5, abs=1e-4)
    assert whole[1] == pytest.approx(apart[1], abs=1e-5)
    assert torch.allclose(whole[2], apart[2], atol=1e-5)
    assert whole[2].abs().max() > 1e-3


def group(prompt, *answers):
    made = FeedbackGroup([prompt])
    for answer in answers:
        made.judge(list(answer), 1.0, 1.0)
    return made


def test_every_answer_is_a_stray_once_and_never_behind_its_own_prompt():
    groups = [group(place, [10 * place, 1], [10 * place + 1, 1]) for place in range(1, 9)]
    add_strays(groups, 64, generator(0, "test"))
    strays = [(one.prompt[0], stray[0]) for one in groups for stray in one.strays]
    assert len(strays) == 16
    assert all(stray // 10 != prompt for prompt, stray in strays)
    assert sum(count == 1 for count in Counter(stray for _, stray in strays).values()) >= 12
    again = [group(place, [10 * place, 1], [10 * place + 1, 1]) for place in range(1, 9)]
    add_strays(again, 64, generator(0, "test"))
    assert again == groups


def test_a_stray_fits_behind_its_prompt_or_there_is_none():
    groups = [group(1, [2, 1]), group(3, [4] * 9), group(5, [6] * 50)]
    groups[0].prompt *= 60
    add_strays(groups, 64, generator(0, "test"))
    assert [len(one.strays) for one in groups] == [0, 1, 1]
    assert all(len(one.prompt) + len(stray) <= 64 for one in groups for stray in one.strays)


def test_an_answer_judged_twice_is_one_branch_with_two_labels():
    learner = model()
    rows = [feedback(1, "yes", 1.0), feedback(1, "no", 0.0), feedback(1, "yes", 0.0), feedback(2, "blue", 1.0)]
    groups, _ = feedback_groups(learner.renderer, rows, 64)
    assert [len(one.answers) for one in groups] == [2, 1]
    assert [(label.answer, label.row) for label in groups[0].labels] == [(0, 0), (1, 1), (0, 2)]
    add_strays(groups, 64, generator(0, "test"))
    referenced = [ReferencedFeedback(one, [0.0] * len(one.answers), [0.0] * len(one.strays)) for one in groups]
    assert collate_feedback(referenced, CPU).judged.tolist() == [0, 1, 0, 2]


def test_labels_that_all_say_the_same_are_refused():
    with pytest.raises(DataError, match="all 4 answers are desirable.*\n.*\n?hint: .*`sft`"):
        train([feedback(place, "yes", 1.0) for place in range(4)])
    with pytest.raises(DataError, match="none of 4 answers is desirable"):
        train([feedback(place, "yes", 0.0) for place in range(4)])


def test_answers_to_a_single_prompt_have_no_reference_point():
    with pytest.raises(DataError, match="there is no reference point"):
        train([feedback(0, "yes", 1.0), feedback(0, "no", 0.0)])


def test_rows_that_are_too_long_are_counted_and_too_many_stop_the_run():
    rows = [*thumbs(range(9)), feedback(9, "blue " * 60, 1.0)]
    counts = train(rows, rows[-1:], limits=RowLimits(allowed_loss=0.1)).counts
    assert (counts["rows"], counts["labels"], counts["desirable"], counts["strays"]) == (10, 9, 4, 9)
    assert (counts["dropped"]["too long"], counts["heldout"]["dropped"]["too long"]) == (1, 1)
    with pytest.raises(DataError, match="1 too long"):
        train(rows)


def test_imbalance_is_named_with_the_weight_that_mends_it():
    assert imbalance(50, 100, KtoConfig()) == []
    assert imbalance(60, 100, KtoConfig()) == []
    (said,) = imbalance(10, 110, KtoConfig())
    assert "set desirable_weight to 10," in said
    assert imbalance(10, 110, KtoConfig(desirable_weight=10)) == []
    (said,) = imbalance(90, 100, KtoConfig())
    assert "set desirable_weight to 0.167" in said
    assert (
        train(thumbs(range(1, 16, 2)) + thumbs([0])).summary["symptoms"][0].startswith("8 of 9 answers are desirable")
    )


def test_desirable_answers_that_become_less_likely_are_named():
    curve = [{"desirable_shift": -float(step)} for step in range(10)]
    (said,) = symptoms(curve)
    assert said.startswith("sinking desirable answers: the desirable answers became 8.0 nats less likely")
    assert symptoms(curve[:2]) == symptoms([{"loss": 1.0}] * 5) == []


def test_a_comparison_is_feedback_on_both_of_its_answers():
    row = Comparison(
        id="p/1", prompt=Conversation.ask("q"), left="a", right="b", label_prob=0.25, annotator="w", attribute="honest"
    )
    left, right = unpaired(row)
    assert (left.id, left.answer, left.label_prob) == ("p/1.left", "a", 0.25)
    assert (right.id, right.answer, right.label_prob) == ("p/1.right", "b", 0.75)
    assert {half.annotator for half in (left, right)} == {"w"}
    assert {half.attribute for half in (left, right)} == {"honest"}


def test_the_stage_without_rows_says_what_to_add(tmp_path):
    load_all()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\nstages:\n  base: {use: model-folder}\n  kto: {in: {model: base}}\n")
    with pytest.raises(RecipeError, match="nothing to learn from"):
        run(load_recipe(recipe, []), Store(tmp_path / "store"))


def test_rankings_are_learned_from_by_their_pairs(tmp_path):
    rows = [
        Ranking(id=f"{n}/0", prompt=Conversation.ask(f"what is {n}"), answers=("yes", "no", "blue"), ranks=(0, 1, 1))
        for n in range(4)
    ]
    write_split(tmp_path, rows[:3], rows[3:])
    train, heldout = _parts({"comparisons": Artifact("comparisons", "", tmp_path)})
    assert [len(part.comparisons) for part in (train, heldout)] == [9, 3]
    assert [row.label_prob for row in heldout.judged] == [1.0, 0.0, 1.0, 0.0, 0.5, 0.5]
