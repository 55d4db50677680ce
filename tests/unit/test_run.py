"""Runs: made once, reused after; whatever happens, no half artifact, and the next run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.toy_stages import SUM, write_recipe

from alidade.errors import AlidadeError, DataError, StageFailed, StoreError, UsageError
from alidade.pipeline import Event, load_recipe, read_run, run
from alidade.store import Store, read_json

ROOT = Path(__file__).parents[2]
SLOW = "  slow: {use: toy-slow, with: {steps: 60, pause_seconds: 0.02}}\n"
FAIL = "  first: {use: toy-number}\n  fail: {use: toy-fail, with: {how: HOW}}\n"
RUN = """
import resource, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/src"]
import tests.toy_stages
from alidade.errors import AlidadeError
from alidade.pipeline import load_recipe, run
from alidade.store import Store
if len(sys.argv) > 4:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
try:
    run(load_recipe(Path(sys.argv[2])), Store(Path(sys.argv[3])))
except AlidadeError as error:
    print(f"{type(error).__name__}: {error.what}")
    sys.exit(error.exit_code)
"""


def start(recipe: Path, store: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, str(ROOT), str(recipe), str(store), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(store: Path, process: subprocess.Popen[str], least: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for path in store.glob("scratch/*/checkpoint.json"):
            if read_json(path)["done"] >= least:
                return
        time.sleep(0.01)
    raise AssertionError("the stage never came that far")


def failing(folder: Path, how: str) -> tuple[AlidadeError, Store]:
    recipe, store = load_recipe(write_recipe(folder, FAIL.replace("HOW", how))), Store(folder / "store")
    with pytest.raises(AlidadeError) as caught:
        run(recipe, store)
    return caught.value, store


def test_a_run_makes_every_stage_and_records_it(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, SUM), ["one.value=4"])
    store = Store(tmp_path / "out" / "store")
    record = run(recipe, store, out=tmp_path / "out")
    assert [(one.name, one.use, one.kind, one.reused) for one in record.stages] == [
        ("one", "toy-number", "number", False),
        ("two", "toy-number", "number", False),
        ("sum", "toy-add", "number", False),
    ]
    assert read_json(store.artifact(record.stages[2].digest, "number").path / "value.json") == 7
    assert record.stages[0].notes == {"value": 4}
    assert record.stages[2].inputs == {"left": "one", "right": "two"}
    assert record.peak_rss_mb > 10
    assert read_run(tmp_path / "out") == record
    assert read_json(tmp_path / "out" / "recipe.json") == recipe.resolved()
    assert record.command == (f"alidade align {tmp_path}/toy.yaml --seed 0 --set one.value=4 --out {tmp_path}/out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["recipe.json", "run.json", "store"]


def test_manifests_say_how_an_artifact_was_made(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run(load_recipe(write_recipe(tmp_path, SUM)), store)
    made = next(manifest for manifest in store.manifests() if manifest.name == "sum")
    assert (made.stage, made.version, dict(made.config)) == ("toy-add", 1, {"factor": 1.0})
    assert {name: (record.made_by, record.kind) for name, record in made.inputs.items()} == {
        "left": ("one", "number"),
        "right": ("two", "number"),
    }
    assert made.environment["python"] == sys.version.split()[0]
    assert len(made.environment["code"]) == 64


def test_a_second_run_reuses_everything(tmp_path: Path) -> None:
    recipe, store = load_recipe(write_recipe(tmp_path, SUM)), Store(tmp_path / "store")
    first, second = run(recipe, store), run(recipe, store)
    assert all(one.reused for one in second.stages)
    assert [one.digest for one in first.stages] == [one.digest for one in second.stages]


def test_events_tell_what_happens_to_each_stage(tmp_path: Path) -> None:
    events: list[Event] = []
    recipe, store = load_recipe(write_recipe(tmp_path, SUM)), Store(tmp_path / "store")
    run(recipe, store)
    run(load_recipe(tmp_path / "toy.yaml", ["sum.factor=2"]), store, on_event=events.append)
    assert [(event.what, event.stage, event.number, event.of) for event in events] == [
        ("reused", "one", 1, 3),
        ("reused", "two", 2, 3),
        ("started", "sum", 3, 3),
        ("made", "sum", 3, 3),
    ]
    assert events[2].because == "config `factor` 1.0 -> 2.0"


def test_an_input_made_anew_with_the_same_bytes_does_not_rerun_what_reads_it(tmp_path: Path) -> None:
    stages = """\
  one: {use: toy-slow, with: {steps: 3}}
  sum: {use: toy-add, in: {left: a, right: a}}
  a: {use: toy-number}
"""
    recipe, store = load_recipe(write_recipe(tmp_path, stages)), Store(tmp_path / "store")
    first = run(recipe, store)
    store.remove(first.stages[1].digest)
    again = run(recipe, store)
    assert {one.name: one.reused for one in again.stages} == {"one": True, "a": False, "sum": True}


def test_only_runs_one_stage_from_inputs_in_the_store(tmp_path: Path) -> None:
    recipe, store = load_recipe(write_recipe(tmp_path, SUM)), Store(tmp_path / "store")
    record = run(recipe, store, only=["one"])
    assert [one.name for one in record.stages] == ["one"]
    run(recipe, store, only=["two"])
    assert [one.name for one in run(recipe, store, only=["sum"]).stages] == ["sum"]


def test_only_is_refused_when_an_input_is_not_made(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, SUM))
    with pytest.raises(UsageError) as caught:
        run(recipe, Store(tmp_path / "store"), only=["sum"], out=tmp_path / "out")
    assert str(caught.value) == (
        "stage `sum` needs `one`, which is not made yet (never made)\nhint: run it too: --only one --only sum"
    )
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "out").exists()


def test_only_refuses_an_unknown_stage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no stage `smu`"):
        run(load_recipe(write_recipe(tmp_path, SUM)), Store(tmp_path / "store"), only=["smu"])


def test_a_failed_check_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    path = write_recipe(tmp_path, SUM + f"  f: {{use: toy-file, with: {{files: [{tmp_path}/empty.txt]}}}}\n")
    with pytest.raises(DataError, match="an empty file"):
        run(load_recipe(path), Store(tmp_path / "out" / "store"), out=tmp_path / "out")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty.txt", "toy.yaml"]


def test_a_failing_stage_says_which_and_keeps_what_was_made(tmp_path: Path) -> None:
    error, store = failing(tmp_path, "bad luck")
    assert isinstance(error, StageFailed)
    assert error.what == "stage `fail` failed: ValueError: bad luck"
    assert isinstance(error.__cause__, ValueError)
    assert [manifest.name for manifest in store.manifests()] == ["first"]
    assert list((store.root / "drafts").glob("*/*")) == []
    assert [path.name for path in store.root.glob("scratch/*/*")] == ["kept"]


def test_an_error_for_a_person_passes_through_with_the_stage_named(tmp_path: Path) -> None:
    error, _ = failing(tmp_path, "data")
    assert isinstance(error, DataError)
    assert (error.what, error.where) == ("a bad row", "stage `fail`")


def test_a_full_disk_in_a_library_is_said_plainly(tmp_path: Path) -> None:
    error, _ = failing(tmp_path, "wrapped full disk")
    assert isinstance(error, StoreError)
    assert error.what == "the disk is full"


def test_a_stage_that_forgets_a_file_fails(tmp_path: Path) -> None:
    error, store = failing(tmp_path, "nothing")
    assert error.what == "stage `fail` wrote no `value.json`"
    assert len(store.manifests()) == 1


def test_an_interrupt_leaves_scratch_and_no_draft(tmp_path: Path) -> None:
    recipe, store = load_recipe(write_recipe(tmp_path, FAIL.replace("HOW", "interrupt"))), Store(tmp_path / "store")
    with pytest.raises(KeyboardInterrupt):
        run(recipe, store)
    assert list(store.root.glob("drafts/*")) == []
    assert [path.name for path in store.root.glob("scratch/*/*")] == ["kept"]


def test_a_damaged_input_stops_the_stage_that_reads_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    record = run(load_recipe(write_recipe(tmp_path, SUM)), store, only=["one", "two"])
    damaged = store.artifact(record.stages[0].digest, "number").path / "value.json"
    damaged.chmod(0o644)
    damaged.write_text("666")
    with pytest.raises(StoreError, match="damaged") as caught:
        run(load_recipe(tmp_path / "toy.yaml"), store)
    assert caught.value.hint is not None
    assert "--repair" in caught.value.hint


def test_a_run_killed_in_mid_stage_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    recipe, store = write_recipe(tmp_path, SLOW), tmp_path / "store"
    with start(recipe, store) as process:
        wait_for_checkpoint(store, process, least=5)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(store.glob("made/*")) == []
    assert list(store.glob("data/*")) == []
    resumed = run(load_recipe(recipe, ["slow.pause_seconds=0"]), Store(store)).stages[0]
    straight = run(load_recipe(recipe, ["slow.pause_seconds=0"]), Store(tmp_path / "other")).stages[0]
    assert resumed.digest == straight.digest
    assert resumed.notes["resumed_at"] >= 5
    assert straight.notes["resumed_at"] == 0
    assert Store(store).verify() == []
    assert list(store.glob("drafts/*")) == []


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    recipe, store = write_recipe(tmp_path, SLOW.replace("60", "10_000")), tmp_path / "store"
    with start(recipe, store) as first:
        wait_for_checkpoint(store, first, least=1)
        with start(recipe, store) as second:
            said, _ = second.communicate(timeout=60)
        first.send_signal(signal.SIGKILL)
    assert second.returncode == 1
    assert said == f"StoreBusy: another run (process {first.pid}) is using this folder\n"


def test_a_full_disk_fails_clearly_and_leaves_no_half_artifact(tmp_path: Path) -> None:
    recipe, store = write_recipe(tmp_path, "  small: {use: toy-number}\n  big: {use: toy-fill}\n"), tmp_path / "store"
    with start(recipe, store, "100000") as process:
        said, trouble = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "StoreError: the disk is full\n"), trouble
    assert [manifest.name for manifest in Store(store).manifests()] == ["small"]
    assert Store(store).verify() == []
    assert list(store.glob("drafts/*")) == []
    record = run(load_recipe(recipe), Store(store))
    assert [one.reused for one in record.stages] == [True, False]


def test_a_folder_without_a_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_run(tmp_path)
    assert str(caught.value) == f"no finished run here\n  at {tmp_path}\nhint: alidade align --out {tmp_path}"


def test_a_garbled_record_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(StoreError, match="the record of the run cannot be read"):
        read_run(tmp_path)


def test_manifests_hold_no_name_of_this_machine_in_what_is_hashed(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("some")
    stages = f"  f: {{use: toy-file, with: {{files: [{text}]}}}}\n"
    store = Store(tmp_path / "store")
    run(load_recipe(write_recipe(tmp_path, stages)), store)
    (made,) = store.manifests()
    assert str(tmp_path) not in json.dumps(dict(made.asked))
    assert os.fspath(text) in json.dumps(dict(made.config))
