import json

import numpy as np
import pytest
import torch
from benchmarks.annotators.__main__ import against_truth, million
from benchmarks.annotators.simulation import published
from benchmarks.arms.__main__ import over_seeds
from benchmarks.arms.__main__ import right as right_share
from benchmarks.arms.pool import Pairs
from benchmarks.arms.scorers import linear, linear_ensemble
from benchmarks.training import gradients
from benchmarks.training.__main__ import Bench
from benchmarks.training.process import tokens_of
from benchmarks.training.results import fastest, leanest, ratio, spread, summary, table
from benchmarks.training.tasks import Task, tasks
from safetensors.torch import save_file


def run(tokens, seconds, memory):
    return {"tokens": tokens, "seconds": seconds, "rss_mb": memory}


def test_a_ratio_is_the_median_of_runs_that_stood_next_to_each_other():
    ours = [run(100, 1, 0), run(40, 1, 0), run(90, 1, 0)]
    peer = [run(50, 1, 0), run(20, 1, 0), run(10, 1, 0)]
    assert ratio(ours, peer) == {"median": 2.0, "low": 2.0, "high": 9.0, "n": 3}


def test_a_peer_of_one_run_is_held_against_the_median_of_ours():
    ours = [run(200, 1, 0), run(90, 1, 0), run(100, 1, 0)]
    assert ratio(ours, [run(100, 1, 0)]) == {"median": 1.0, "low": 1.0, "high": 1.0, "n": 1}


def test_best_is_by_median_speed_and_leanest_by_median_memory():
    peer = {"a": [run(10, 1, 5), run(90, 1, 5), run(10, 1, 5)], "b": [run(20, 1, 9)] * 3}
    assert fastest(peer) == "b"
    assert leanest(peer) == "a"


def test_a_goal_that_is_missed_is_said_to_be_missed():
    task = Task("sft", (1, 2), {"speed": {}, "memory": {}}, {"default": {}, "quick": {}}, {"ratio_best": 1.7})
    peer = {"default": [run(40, 1, 80)] * 2, "quick": [run(100, 1, 90)] * 2}
    scan = {
        "ours": {"memory": run(50, 1, 60)},
        "peer": {"default": run(40, 1, 80), "quick": run(90, 1, 95), "none": None},
    }
    entry = summary(task, [run(160, 1, 100)] * 2, peer, scan)
    assert entry["rss_ours_best_memory"]["median"] == 60
    assert entry["ratio_best"]["median"] == 1.6
    assert entry["ratio_default"]["median"] == 4.0
    assert entry["peer_best_setting"] == "quick"
    assert entry["rss_peer_best_memory"]["median"] == 80
    assert entry["goals"] == {"ratio_best": {"goal": 1.7, "holds": False}}
    assert "1.7x missed" in table({"sft": entry})


def test_what_did_not_run_is_said_not_to_have_been_measured():
    task = Task("sft", (1, 2), {"speed": {}}, {"quick": {}}, {"ratio_best": 1.5, "ratio_default": 3.0})
    entry = summary(
        task, [run(160, 1, 100)], {"quick": [run(100, 1, 90)]}, {"ours": {}, "peer": {"quick": run(1, 1, 9)}}
    )
    assert entry["ratio_default"] is None
    assert entry["goals"]["ratio_default"] == {"goal": 3.0, "holds": None}
    assert "1.5x holds, 3x not measured" in table({"sft": entry})


def test_a_range_is_shown_with_its_median():
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0, "n": 3}


def test_a_gradient_is_as_far_as_it_is_from_the_peers(tmp_path):
    paths = [tmp_path / name for name in ("ours", "peer")]
    for path, values in zip(paths, ([3.0, 4.1], [3.0, 4.0]), strict=True):
        save_file({"a": torch.tensor(values), "b": torch.zeros(2)}, path)
    found = gradients.compare(*paths)
    assert found["relative_gap"] == pytest.approx(0.1 / 5, rel=1e-4)
    assert found["worst"] == "a"
    save_file({"other": torch.zeros(1)}, paths[0])
    assert "other weights" in gradients.compare(*paths)["error"]


def test_a_measurement_covers_what_fits_its_time_within_its_sizes(tmp_path):
    bench = Bench(tmp_path, tmp_path, "tuned", seconds=60)
    task = Task("sft", (32, 800), {}, {})
    assert bench._fitting(task, {"size": 32, "seconds": 10}) == 192
    assert bench._fitting(task, {"size": 32, "seconds": 1}) == 800
    assert bench._fitting(task, {"size": 32, "seconds": 300}) == 32


@pytest.mark.parametrize("failing", ["ours", "peer"])
def test_a_side_that_fails_ends_the_comparison_in_words(tmp_path, monkeypatch, failing):
    bench = Bench(tmp_path, tmp_path, "tuned", seconds=60)
    monkeypatch.setattr(bench, "measure", lambda side, *_: None if side == failing else run(10, 1, 5))
    with pytest.raises(SystemExit, match="sft: a setting of ours, or every setting of the peer, failed"):
        bench.compare(Task("sft", (1, 2), {"speed": {}}, {"default": {}, "quick": {}}), repeats=1)


def test_a_default_that_fails_was_not_measured(tmp_path, monkeypatch):
    bench = Bench(tmp_path, tmp_path, "tuned", seconds=60)
    sides = {"default": {"fails": True}, "quick": {}}
    monkeypatch.setattr(bench, "measure", lambda side, task, how: None if "fails" in how else run(10, 1, 5))
    entry = bench.compare(Task("sft", (1, 2), {"speed": {}}, sides), repeats=1)
    assert entry["peer_default"] is None
    assert entry["peer_best_setting"] == "quick"


def test_every_task_has_a_speed_and_a_default_and_settings_that_are_json():
    for task in tasks(rows=800, rounds=3, iterations=4):
        assert "speed" in task.ours
        assert len(task.peer) > 1
        json.dumps([dict(task.ours), dict(task.peer)])


def test_tokens_are_counted_from_the_first_rows(tmp_path):
    (tmp_path / "tokens.json").write_text('{"pairs": [5, 6, 7]}')
    assert tokens_of(tmp_path, "pairs", 2) == 11


def test_our_settings_are_settings_of_the_product():
    from alidade.training.settings import DpoConfig, GrpoConfig, PpoConfig, RewardConfig, SftConfig

    kinds = {"sft": SftConfig, "reward": RewardConfig, "dpo": DpoConfig, "grpo": GrpoConfig, "ppo": PpoConfig}
    for task in tasks(rows=800, rounds=3, iterations=4):
        for settings in task.ours.values():
            if task.name in kinds:
                kinds[task.name].model_validate(settings["training"])


def test_annotators_are_held_against_what_was_planted():
    from alidade.preferences.annotators import fit_annotators

    planted = published(0)
    found = against_truth(fit_annotators(planted.ballots), planted, 0)
    assert found["skill_spearman"] > 0.8 > found["ece_raw"]


def test_a_large_fit_says_whether_skill_tells_who_tosses_coins():
    found = million(20_000)
    assert found["skills_overlap"] is False
    assert found["skill"]["coins"] < 0.6 < found["skill"]["careful"]


def test_a_linear_head_finds_what_was_planted_and_its_ensemble_differs_where_it_saw_little():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(400, 3)) * [1, 1, 0.01]
    left, right = np.arange(0, 400, 2), np.arange(1, 400, 2)
    gap = (states[left] - states[right]) @ [4.0, -4.0, 0.0]
    pairs = Pairs(left, right, left, gap)
    members = linear_ensemble(states, pairs, (gap > 0).astype(float), rng)
    assert right_share(pairs, (states[left] - states[right]) @ linear(states, pairs, (gap > 0).astype(float))) > 0.95
    assert members.shape == (3, 8)
    assert len(np.unique(members[0])) == 8


def test_lifts_are_paired_by_seed():
    rows = [{"random": 0.5, "margin": 0.6}, {"random": 0.7, "margin": 0.8}, {"random": 0.6, "margin": 0.7}]
    found = over_seeds(rows)
    assert found["margin - random"] == {"mean": 0.1, "half": 0.0, "n": 3}
    assert found["random"]["half"] == pytest.approx(0.1 / 3**0.5 * 4.3027, abs=1e-4)
