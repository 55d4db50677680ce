"""The labelers' report on people's votes that name their annotators: `python -m benchmarks.labelers DATA OUT`.

Sets of comparisons are read as they are. Labels of one text are read as votes between the answers "no" and "yes" to a question about
it, a rating by whether it is past a bound. All that tells those answers apart is that "yes" is longer, so a lean to length there is
the readiness to say yes.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from alidade.preferences.labelled import Labelled
from alidade.preferences.tally import Pair
from alidade.records import Candidates, Choice, Completion, Conversation, Estimate, Prompt, Vote
from alidade.report.labelers import LabelersReport, labelers_report, write_labelers_page

Row = dict[str, Any]


class Set(NamedTuple):
    """One set of votes, with what is known to be right and what annotators said of themselves."""

    votes: list[Vote]
    candidates: list[Candidates]
    gold: Mapping[Pair, Choice] = {}
    groups: Mapping[str, Mapping[str, str]] = {}


def rows(path: Path) -> Iterator[Row]:
    """The rows of a packed file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def asked(prompt: str, text: str, *answers: str) -> Candidates:
    """A prompt with its answers."""
    return Candidates(
        prompt=Prompt(id=prompt, conversation=Conversation.ask(text)),
        answers=tuple(Completion(text=answer) for answer in answers),
    )


def vote(prompt: str, annotator: str, choice: str, place: int) -> Vote:
    """A vote on the answers 0 and 1 in this order."""
    fields = {"id": f"{prompt}/{annotator}/{place}", "prompt_id": prompt, "annotator": annotator}
    return Vote.model_validate({**fields, "left": 0, "right": 1, "choice": choice, "source": "file"})


def llmfao(data: Path) -> Set:
    """Crowd workers on pairs of models' answers."""
    votes, candidates = [], []
    for place, row in enumerate(rows(data / "preferences" / "llmfao_crowd.jsonl.gz")):
        name = str(place)
        candidates.append(asked(name, row["prompt"], row["response_left"], row["response_right"]))
        votes += [vote(name, str(who), choice, at) for at, (who, choice) in enumerate(row["votes"])]
    return Set(votes, candidates)


def pandalm(data: Path) -> Set:
    """Three people on every pair."""
    votes, candidates, words = [], [], {0: "tie", 1: "left", 2: "right"}
    for place, row in enumerate(rows(data / "preferences" / "pandalm_3_annotators.jsonl.gz")):
        name, text = str(place), f"{row['instruction']}\n{row['input']}"
        candidates.append(asked(name, text, str(row["response_1"]), str(row["response_2"])))
        votes += [vote(name, f"annotator {who}", words[row[f"annotator_{who}"]], 0) for who in (1, 2, 3)]
    return Set(votes, candidates)


def tulu(data: Path) -> Set:
    """Experts, a row per vote; the same two completions are one pair in whichever order a row has them."""
    votes, candidates = [], {}
    for place, row in enumerate(rows(data / "preferences" / "tulu1_human_eval.jsonl.gz")):
        sides = {row["model_a"]: row["completion_a"], row["model_b"]: row["completion_b"]}
        name = "/".join((row["instance_id"], *sorted(sides)))
        candidates.setdefault(name, asked(name, row["prompt"], *(sides[model] for model in sorted(sides))))
        choice = {"a": "left", "b": "right"}.get(row["preference"].partition("-")[0], "tie")
        one = vote(name, row["annotator"], choice, place)
        swapped = row["model_a"] > row["model_b"]
        votes.append(one.model_copy(update={"left": 1, "right": 0}) if swapped else one)
    return Set(votes, list(candidates.values()))


def squality(data: Path) -> Set:
    """Reviewers who rank three summaries: three votes each."""
    ranks: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows(data / "preferences" / "squality_human_ratings.jsonl.gz"):
        ranks.setdefault((f"{row['passage_id']}/{row['question']}", str(row["worker"])), {})[row["system"]] = row
    votes, candidates = [], {}
    for (name, worker), found in ranks.items():
        systems = sorted(found)
        candidates.setdefault(name, asked(name, name, *(found[system]["response"] for system in systems)))
        for left, one in enumerate(systems):
            for right in range(left + 1, len(systems)):
                first, second = found[one]["overall_rank"], found[systems[right]]["overall_rank"]
                choice = "tie" if first == second else "left" if first < second else "right"
                votes.append(vote(name, worker, choice, left).model_copy(update={"left": left, "right": right}))
    return Set(votes, list(candidates.values()))


def yes_or_no(data: Path, name: str, said: Callable[[Row], Iterator[tuple[str, str, bool]]]) -> Set:
    """Labels of single texts: `said` gives (text, annotator, whether yes) for each label of a row."""
    votes, candidates = [], {}
    for row in rows(data / "annotators" / f"{name}.jsonl.gz"):
        for text, who, is_yes in said(row):
            candidates.setdefault(text, asked(text, text, "no", "yes"))
            votes.append(vote(text, who, "right" if is_yes else "left", 0))
    return Set(votes, list(candidates.values()))


def labelled(key: str, is_yes: Callable[[Any], bool]) -> Callable[[Row], Iterator[tuple[str, str, bool]]]:
    """Reads rows that hold {annotator: label}."""
    return lambda row: ((str(row[key]), who, is_yes(value)) for who, value in row["annotations"].items())


def raters(data: Path, name: str, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """What annotators said of themselves."""
    found = {}
    for row in rows(data / "annotators" / f"{name}_raters.jsonl.gz"):
        told = {column: str(row[column]) for column in columns if row[column] not in (None, "", "DATA_EXPIRED", "nan")}
        found[row["annotator"]] = told
    return found


def hatecheck(data: Path) -> Set:
    """Hateful or not, with what the case was written to be as gold."""
    found = yes_or_no(data, "hatecheck", labelled("case_id", lambda value: value == "hateful"))
    gold: dict[Pair, Choice] = {}
    for row in rows(data / "annotators" / "hatecheck.jsonl.gz"):
        gold[Pair(str(row["case_id"]), 0, 1, "overall")] = "right" if row["gold"] == "hateful" else "left"
    return found._replace(gold=gold)


def popquorn(data: Path) -> Set:
    """Rated past 1 (not offensive at all) or not, by people who said who they are."""
    found = yes_or_no(
        data,
        "popquorn_offensiveness",
        lambda row: iter([(str(row["item"]), str(row["annotator"]), row["offensiveness"] > 1)]),
    )
    columns = ("gender", "race", "age", "education")
    every = rows(data / "annotators" / "popquorn_offensiveness.jsonl.gz")
    return found._replace(groups={str(row["annotator"]): {one: row[one] for one in columns} for row in every})


def hs_brexit(data: Path) -> Set:
    """Hateful or not; three annotators of the group aimed at and three of a control group, too few to be shown."""
    found = yes_or_no(data, "hs_brexit", labelled("id", lambda value: int(value) == 1))
    side = {f"Ann{number}": {"group": "target" if number <= 3 else "control"} for number in range(1, 7)}
    return found._replace(groups=side)


def multipico(data: Path) -> Set:
    """Ironic or not, with what raters said of themselves."""
    found = yes_or_no(data, "multipico_en", labelled("id", lambda value: int(value) == 1))
    columns = ("Gender", "Ethnicity simplified", "Country of residence", "Student status")
    return found._replace(groups=raters(data, "multipico_en", columns))


def sarcasm(data: Path) -> Set:
    """Sarcasm rated above 3 of 6 or not."""
    found = yes_or_no(data, "sarcasm_csc", labelled("id", lambda value: float(value) > 3))
    return found._replace(groups=raters(data, "sarcasm_csc", ("Gender",)))


SETS: Mapping[str, Callable[[Path], Set]] = {
    "llmfao": llmfao,
    "pandalm": pandalm,
    "tulu": tulu,
    "squality": squality,
    "hatecheck": hatecheck,
    "popquorn": popquorn,
    "hs_brexit": hs_brexit,
    "multipico": multipico,
    "sarcasm": sarcasm,
    "md_agreement": lambda data: yes_or_no(data, "md_agreement", labelled("id", lambda value: int(value) == 1)),
    "convabuse": lambda data: yes_or_no(
        data,
        "convabuse",
        lambda row: iter([(f"{row['conv_id']}/{row['agent']}/{row['user']}", row["annotator"], row["severity"] < 0)]),
    ),
}


def said(one: Estimate | None) -> str:
    """An estimate in a table's cell."""
    return "-" if one is None else f"{one.mean:.3f} ({one.low:.3f}-{one.high:.3f}), n = {one.n:,}"


def line(name: str, report: LabelersReport, seconds: float) -> str:
    """A row of the table."""
    every, voted = report.agreement[0], report.voted
    leans = {lean.trait: lean.chance for found in report.sensitivity.every[:1] for lean in found.leans}
    cells = [
        name,
        f"{voted.votes:,}",
        f"{voted.annotators:,}",
        *map(said, (every.alpha, every.pairwise, every.decided)),
    ]
    cells += [said(leans.get(trait)) for trait in ("length", "format", "refusal")]
    cells += [said(report.gold.every), f"{report.taste.reliable}", f"{report.taste.contested}", str(report.taste.best)]
    return " | ".join([*cells, f"{seconds:.1f} s"])


def main(data: Path, out: Path, names: list[str]) -> None:
    """Print a row for each set, and write its page."""
    for name in names or SETS:
        found = SETS[name](data)
        began = time.process_time()
        report = labelers_report(Labelled(votes=found.votes, gold=found.gold, groups=found.groups), found.candidates)
        print(line(name, report, time.process_time() - began), flush=True)
        for test in report.groups.tests:
            print(f"    {test.model_dump()}", flush=True)
        for one in report.whose:
            print(
                f"    {one.question}: {one.group}: flips {said(one.flips)}; by chance {said(one.by_chance)}", flush=True
            )
        write_labelers_page(report, out / name / "report.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
