import json

import pytest
from tests.simulated_votes import answers, cast
from tests.unit.test_report import HOSTILE, read_page

from alidade.cli.main import main
from alidade.errors import DataError
from alidade.preferences.acts import choice_of
from alidade.preferences.labelled import Labelled
from alidade.preferences.tally import pair_of
from alidade.records import Completion
from alidade.report.labelers import labelers_report, write_labelers_page
from alidade.store import write_json, write_rows

ROWS = answers(70)
GROUPS = {
    f"a{who:03}": {"taste": "long" if who % 2 else "short", "age": "old" if who < 3 else "young"} for who in range(12)
}


def everything():
    """Votes with drift, repeats, quick ones and hostile names; gold and groups."""
    votes = cast(
        ROWS, 12, lean=lambda who: 1.0 if who % 2 else -1.0, slip=lambda who, place: 0.9 * (who == 2 and place > 44)
    )
    again = [
        vote.model_copy(update={"left": vote.right, "right": vote.left, "at": (vote.at or 0) + 9e5})
        for vote in votes[::9]
    ]
    gold = {pair_of(vote): choice_of(vote) for vote in cast(ROWS, 1, spread=60.0)}
    return [*votes, *again], gold


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    votes, gold = everything()
    hostile = ROWS[0].model_copy(update={"answers": (Completion(text=HOSTILE), Completion(text="b"))})
    name = HOSTILE.encode("utf-16", "surrogatepass").decode("utf-16")
    votes = [vote.model_copy(update={"annotator": name}) if vote.annotator == "a007" else vote for vote in votes]
    report = labelers_report(Labelled(votes=votes, gold=gold, groups=GROUPS), [hostile, *ROWS[1:]])
    page = write_labelers_page(report, tmp_path_factory.mktemp("labelers") / "report.html")
    return report, page


def test_the_page_is_one_file_that_loads_and_runs_nothing(made):
    reader = read_page(made[1])
    assert not {"script", "link", "img", "iframe"} & set(reader.elements)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert not [value for _, name, value in reader.attributes if name in ("src", "href")]
    text = made[1].read_text()
    assert "default-src 'none'" in text
    assert not set(text) & {"\u202e", "\u2066", "\u200b", "\x07", "\x1b"}
    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert {"agreement", "labelers", "drift", "pace", "leans", "taste", "groups"} <= set(ids)


def test_the_json_twin_holds_the_report(made):
    report, page = made
    found = json.loads((page.parent / "report.json").read_text())
    assert type(report).model_validate(found) == report
    assert found["voted"]["annotators"] == len(found["labelers"]) == 12


def test_a_group_too_small_is_neither_on_the_page_nor_in_its_twin(made):
    report, page = made
    assert report.groups.withheld == ("age",)
    for text in (page.read_text(), (page.parent / "report.json").read_text()):
        assert "young" not in text
        assert '"old"' not in text
        assert ">old" not in text


def test_equal_seeds_give_equal_reports():
    votes, gold = everything()
    labelled = Labelled(votes=votes, gold=gold, groups=GROUPS)
    assert labelers_report(labelled, ROWS, seed=3) == labelers_report(labelled, ROWS, seed=3)


def test_a_few_bare_votes_make_a_page_too(tmp_path):
    votes = [vote.model_copy(update={"at": None, "seconds": None}) for vote in cast(ROWS[:2], 1)]
    page = write_labelers_page(labelers_report(Labelled(votes=votes), ROWS), tmp_path / "report.html")
    assert "Nobody could be watched" in " ".join(read_page(page).text)


def test_no_votes_are_an_error():
    with pytest.raises(DataError, match="no votes"):
        labelers_report(Labelled(), ROWS)


@pytest.fixture
def folder(tmp_path):
    votes, gold = everything()
    write_rows(tmp_path / "rows.jsonl", votes)
    write_rows(tmp_path / "answers.jsonl", ROWS)
    sides = [{"prompt_id": pair.prompt_id, "left": 1, "right": 0, "choice": "right"} for pair in list(gold)[:5]]
    write_json(tmp_path / "gold.json", sides)
    write_json(tmp_path / "groups.json", GROUPS)
    return tmp_path


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["alidade", *map(str, arguments)])
    try:
        main()
    except SystemExit as leaving:
        said = capsys.readouterr()
        return leaving.code or 0, said.out or said.err
    return 0, capsys.readouterr().out


def test_the_command_writes_the_page_and_prints_where_it_is(folder, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, "votes", "report", folder, "--out", folder / "page")
    assert (code, said.strip()) == (0, str(folder / "page" / "report.html"))
    assert (folder / "page" / "report.json").exists()


def test_the_command_prints_the_numbers_as_json(folder, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, "votes", "report", folder, "--json")
    found = json.loads(said)
    assert code == 0
    assert found["report"]["gold"]["every"]["n"] == sum(
        vote.prompt_id in {f"p{n}" for n in range(5)} for vote in everything()[0]
    )
    assert {one["question"] for one in found["report"]["groups"]["tests"]} == {"taste"}


@pytest.mark.parametrize(
    ("file", "value", "said"),
    [
        ("gold.json", {}, "not a list"),
        ("gold.json", [{"prompt_id": "p0", "left": 0, "right": 1}], "`choice` is missing"),
        ("gold.json", ["p0"], "no gold choice"),
        (
            "gold.json",
            [
                {"prompt_id": "p0", "left": 0, "right": 1, "choice": "left"},
                {"prompt_id": "p0", "left": 1, "right": 0, "choice": "left"},
            ],
            "two gold choices",
        ),
        ("groups.json", [], "not {"),
        ("groups.json", {"a000": "old"}, "is not {question: group}"),
    ],
)
def test_a_file_of_another_shape_is_explained(folder, monkeypatch, capsys, file, value, said):
    write_json(folder / file, value)
    code, printed = call(monkeypatch, capsys, "votes", "report", folder)
    assert code == 2
    assert said in printed
    assert file in printed
