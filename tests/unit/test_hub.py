"""A model's address that leads nowhere is refused at once, with or without a connection."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from alidade.cli.folders import open_chat_model
from alidade.errors import ModelError
from alidade.hub import refuse_missing
from alidade.stages.files import ModelFolderConfig, check_model
from alidade.stages.reinforcement import PpoStage, check_reward

JUDGE = {"rewards": {"reward": {"judge": {"model": "judges/good"}}}}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hub that nobody answers for, and its empty cache."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "address", ["/models/gone", "./gone", "~/gone", "runs/judges/gone", "gone/", "a model", "hf:a/b/c"]
)
def test_what_can_be_no_hub_id_is_a_folder_that_is_not_there(address: str) -> None:
    with pytest.raises(ModelError, match="there is no such model folder\n") as caught:
        refuse_missing(address)
    assert (caught.value.where, caught.value.hint) == (address, "check the path")


@pytest.mark.parametrize("address", ["judges/good", "gpt2", "hf:judges/good"])
def test_what_may_be_a_hub_id_is_refused_where_the_hub_cannot_be_asked(offline: Path, address: str) -> None:
    with pytest.raises(ModelError, match="the hub cannot be asked for a model of that name") as caught:
        refuse_missing(address)
    assert caught.value.where == address


def test_a_hub_that_is_to_be_left_alone_is_not_asked(monkeypatch: pytest.MonkeyPatch, offline: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="the hub cannot be asked"):
        refuse_missing("judges/good")


def test_a_cached_model_needs_no_hub(offline: Path) -> None:
    model = offline / "models--judges--good"
    for place, text in (("refs/main", "abc"), ("snapshots/abc/config.json", "{}")):
        (model / place).parent.mkdir(parents=True)
        (model / place).write_text(text)
    refuse_missing("judges/good")


def test_a_hub_that_answers_is_left_to_say_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("alidade.hub.PATIENCE", 0.05)
        refuse_missing("judges/good")


def test_folders_and_addresses_elsewhere_are_not_asked_for(offline: Path) -> None:
    for address in (offline, str(offline), "http://127.0.0.1:1/v1#m", "https://127.0.0.1:1/v1#m", "script:none.jsonl"):
        refuse_missing(address)


def test_judges_models_and_bases_of_a_recipe_are_refused_before_anything_runs(offline: Path) -> None:
    for check in (
        lambda: check_reward(PpoStage.model_validate(JUDGE), {}),
        lambda: check_model(ModelFolderConfig(path="judges/good"), {}),
        lambda: check_model(ModelFolderConfig(path=str(offline), base="judges/good"), {}),
        lambda: open_chat_model("judges/good", None),
    ):
        with pytest.raises(ModelError, match="there is no such model folder") as caught:
            check()
        assert caught.value.where == "judges/good"
