"""The registry: built-ins and entry points through one door."""

import sys
from pathlib import Path

import pytest

from alidade.errors import RecipeError, UsageError
from alidade.registry import Registry, did_you_mean


def plugin(folder: Path, name: str, target: str, group: str = "alidade.things") -> None:
    """A package `name`, as installed, that offers the entry point `name` = target."""
    meta = folder / f"{name}-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_built_in_is_imported_only_when_asked_for() -> None:
    sys.modules.pop("this", None)
    registry: Registry[object] = Registry("alidade.things", {"zen": "this:s", "join": "os.path:join"})
    assert registry.names() == ["join", "zen"]
    assert registry.get("join") is not None
    assert "this" not in sys.modules


def test_an_unknown_name_offers_the_nearest() -> None:
    registry: Registry[object] = Registry("alidade.things", {"reward": "os:sep", "ppo": "os:sep"}, noun="stage")
    with pytest.raises(UsageError) as caught:
        registry.get("rewards")
    assert str(caught.value) == "unknown stage `rewards`\nhint: did you mean `reward`?"


def test_a_registry_raises_the_error_it_was_given() -> None:
    registry: Registry[object] = Registry("alidade.things", {}, error=RecipeError)
    with pytest.raises(RecipeError):
        registry.get("x")


def test_an_entry_point_of_an_installed_package_is_found(installed: Path) -> None:
    plugin(installed, "foreign", "os.path:basename")
    registry: Registry[object] = Registry("alidade.things", {})
    assert registry.names() == ["foreign"]
    assert registry.get("foreign") is __import__("os").path.basename


def test_an_entry_point_of_another_group_is_not_found(installed: Path) -> None:
    plugin(installed, "elsewhere", "os.path:basename", group="other.things")
    assert Registry("alidade.things", {}).names() == []


def test_a_plugin_does_not_replace_a_built_in(installed: Path) -> None:
    plugin(installed, "mine", "os.path:basename")
    registry: Registry[object] = Registry("alidade.things", {"mine": "os.path:join"})
    assert registry.get("mine") is __import__("os").path.join


def test_a_broken_plugin_names_its_package(installed: Path) -> None:
    plugin(installed, "broken", "no_such_module_at_all:thing")
    with pytest.raises(UsageError, match="of broken cannot be loaded") as caught:
        Registry("alidade.things", {}).get("broken")
    assert caught.value.hint == "update or uninstall broken"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bata", "did you mean `beta`?"),
        ("zzz", "known: `alpha`, `beta`"),
    ],
)
def test_hints_offer_the_near_or_else_all(name: str, hint: str) -> None:
    assert did_you_mean(name, ["beta", "alpha"]) == hint


def test_a_hint_without_anything_known_says_so() -> None:
    assert did_you_mean("x", []) == "none is known here"
