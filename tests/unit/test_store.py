"""The store: whole artifacts or none, read-only, one writer at a time."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from alidade.digest import digest_folder
from alidade.errors import StoreBusy, StoreError
from alidade.store import Store, read_json
from alidade.store.store import is_full_disk


def fields(key: str = "k" * 64, **changes: Any) -> dict[str, Any]:
    made = {
        "kind": "number",
        "key": key,
        "name": "one",
        "stage": "toy",
        "version": 1,
        "config": {},
        "asked": {},
        "seed": 0,
        "inputs": {},
    }
    return made | changes


def draft_of(store: Store, text: str = "1", key: str = "k" * 64) -> Path:
    draft = store.draft(key)
    (draft / "below").mkdir()
    (draft / "value.json").write_text(text)
    (draft / "below" / "more.bin").write_bytes(b"\x00\x01")
    return draft


def contents(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def in_subprocess(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_store_writes_nothing_before_the_first_lock(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.find("x") is None
    assert store.manifests() == []
    assert store.verify() == []
    assert not (tmp_path / "store").exists()


def test_a_committed_artifact_is_found_by_key_and_digest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.commit(draft_of(store), fields(notes={"n": 1}))
    manifest = store.find("k" * 64)
    assert manifest is not None
    assert manifest.digest == artifact.digest == digest_folder(artifact.path)
    assert manifest.notes == {"n": 1}
    assert store.artifact(artifact.digest, "number") == artifact
    assert (artifact.path / "value.json").read_text() == "1"


def test_committed_files_are_read_only(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.commit(draft_of(store), fields())
    modes = {stat.S_IMODE(path.stat().st_mode) for path in artifact.path.rglob("*") if path.is_file()}
    assert modes == {0o444}


def test_the_same_bytes_made_twice_are_kept_once_with_both_histories(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.commit(draft_of(store), fields("a" * 64))
    second = store.commit(draft_of(store), fields("b" * 64))
    assert first == second
    assert [manifest.key[0] for manifest in store.manifests()] == ["a", "b"]
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_scratch_survives_until_the_commit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.scratch("k" * 64) / "checkpoint").write_text("half")
    with store.lock():
        pass
    assert (store.scratch("k" * 64) / "checkpoint").read_text() == "half"
    store.commit(draft_of(store), fields())
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_next_lock_sweeps_drafts_of_killed_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    draft = draft_of(store)
    with store.lock():
        assert not draft.exists()


def test_a_commit_that_cannot_be_recorded_leaves_nothing_visible(tmp_path: Path) -> None:
    store = Store(tmp_path)
    draft = draft_of(store)
    with pytest.raises(ValueError, match="version"):
        store.commit(draft, fields(version="no number"))
    assert not draft.exists()
    assert store.manifests() == []


def test_damage_is_found_and_a_new_commit_heals_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.commit(draft_of(store), fields())
    damaged = artifact.path / "value.json"
    damaged.chmod(0o644)
    damaged.write_text("2")
    assert [(one.digest, one.problem) for one in store.verify()] == [
        (artifact.digest, "its files are not those that were committed")
    ]
    with pytest.raises(StoreError, match="damaged"):
        store.check(artifact)
    store.commit(draft_of(store), fields())
    assert store.verify() == []


def test_an_artifact_whose_folder_is_gone_is_not_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = store.commit(draft_of(store), fields())
    store.remove(artifact.digest)
    assert store.find("k" * 64) is None
    assert [one.problem for one in store.verify()] == ["its folder is missing"]
    with pytest.raises(StoreError, match="no artifact"):
        store.artifact(artifact.digest, "number")


def test_an_unreadable_manifest_says_which_file_to_remove(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(draft_of(store), fields())
    path = tmp_path / "made" / f"{'k' * 64}.json"
    path.write_text('{"kind": "number"}')
    with pytest.raises(StoreError, match="a manifest cannot be read: field `digest` is missing") as caught:
        store.manifests()
    assert caught.value.where == str(path)


def test_a_second_writer_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    with Store(tmp_path).lock():
        result = in_subprocess(
            "import sys; from pathlib import Path; from alidade.store import Store\n"
            "with Store(Path(sys.argv[1])).lock(): print('never')",
            str(tmp_path),
        )
    assert result.stdout == ""
    assert f"StoreBusy: another run (process {os.getpid()}) is using this folder" in result.stderr


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from alidade.store import Store\n"
            "with Store(Path(sys.argv[1])).lock(): print('held', flush=True); time.sleep(60)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy), Store(tmp_path).lock():
            pass
        holder.send_signal(signal.SIGKILL)
    with Store(tmp_path).lock():
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_disk_that_fills_up_during_the_commit_leaves_no_manifest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    draft_of(store)
    result = in_subprocess(
        """
        import resource, sys
        from pathlib import Path
        from alidade.errors import StoreError
        from alidade.store import Store
        store, draft = Store(Path(sys.argv[1])), Path(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        made = {"kind": "n", "key": "k", "name": "n", "stage": "s", "version": 1, "config": {}, "asked": {}, "seed": 0}
        try:
            store.commit(draft, made | {"inputs": {}})
        except StoreError as error:
            print(error.what)
        """,
        str(tmp_path),
        str(next((tmp_path / "drafts").iterdir())),
    )
    assert result.stdout == "the disk is full\n", result.stderr
    assert not any(name.startswith(("made/", "drafts/")) for name in contents(tmp_path))


def test_a_disk_that_is_full_before_the_commit_leaves_nothing(tmp_path: Path) -> None:
    result = in_subprocess(
        """
        import resource, sys
        from pathlib import Path
        from alidade.errors import StoreError
        from alidade.store import Store
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            with Store(Path(sys.argv[1])).lock():
                print("never")
        except StoreError as error:
            print(error.what)
        """,
        str(tmp_path),
    )
    assert result.stdout == "the disk is full\n", result.stderr


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (OSError(13, "Permission denied"), False),
        (ValueError("bad"), False),
    ],
)
def test_a_full_disk_is_known_by_number_and_by_words(error: Exception, full: bool) -> None:
    assert is_full_disk(error) is full


def test_a_full_disk_is_known_behind_another_error() -> None:
    error = RuntimeError("could not save")
    error.__cause__ = OSError(28, "No space left on device")
    assert is_full_disk(error)


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="the store cannot be written"), Store(tmp_path / "file" / "store").lock():
        pass


def test_manifests_name_where_inputs_came_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(draft_of(store), fields(inputs={"left": {"kind": "number", "digest": "d" * 64, "from": "two"}}))
    manifest = store.manifests()[0]
    assert manifest.inputs["left"].made_by == "two"
    raw = read_json(tmp_path / "made" / f"{'k' * 64}.json")
    assert raw["inputs"]["left"]["from"] == "two"
