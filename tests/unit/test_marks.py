"""Marks on config fields: what is left out of a key, and what enters it by content."""

from pathlib import Path

from pydantic import Field

from alidade.pipeline import Inert, InputFile, InputFolder, InputReference
from alidade.pipeline.marks import missing_inputs, result_bearing
from alidade.records import Record


class Inner(Record):
    path: InputFile | None = None
    workers: Inert[int] = 2
    rate: float = 0.5


class Outer(Record):
    inner: Inner = Inner()
    many: tuple[InputFile, ...] = ()
    by_name: dict[str, InputFile] = Field(default_factory=dict)
    lists: list[list[InputFile]] | None = None
    folder: InputFolder | None = None
    model: InputReference | None = None
    chatty: Inert[InputFile | None] = None
    plain: dict[str, list[int]] = Field(default_factory=dict)


def test_inert_fields_are_left_out_at_every_depth() -> None:
    assert result_bearing(Outer(inner=Inner(workers=9))) == result_bearing(Outer())
    assert "workers" not in str(result_bearing(Outer()))


def test_files_count_by_content_wherever_they_are(tmp_path: Path) -> None:
    def config(name: str) -> Outer:
        path = tmp_path / name
        return Outer(inner=Inner(path=path), many=(path,), by_name={"a": path}, lists=[[path]], folder=path.parent)

    for name in ("one", "two"):
        (tmp_path / name).write_text("same")
    assert result_bearing(config("one")) == result_bearing(config("two"))
    before = result_bearing(config("one"))
    (tmp_path / "one").write_text("else")
    after = result_bearing(config("one"))
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["inner", "many", "by_name", "lists", "folder"]
    assert str(tmp_path) not in str(after)


def test_a_reference_is_a_folders_content_or_else_a_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert set(result_bearing(Outer(model=str(tmp_path)))["model"]) == {"content"}
    assert result_bearing(Outer(model="someone/model"))["model"] == "someone/model"
    assert result_bearing(Outer(model="x" * 5000))["model"] == "x" * 5000


def test_missing_files_are_listed_with_their_places(tmp_path: Path) -> None:
    none = tmp_path / "none"
    config = Outer(inner=Inner(path=none), lists=[[none]], folder=none, model=str(none))
    assert missing_inputs(config) == [
        (("inner", "path"), f"no such file: `{none}`"),
        (("lists", 0, 0), f"no such file: `{none}`"),
        (("folder",), f"no such folder: `{none}`"),
    ]


def test_plain_values_stay_what_they_are() -> None:
    assert result_bearing(Outer(plain={"a": [1, 2]}))["plain"] == {"a": [1, 2]}
