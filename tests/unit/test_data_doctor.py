"""The data doctor finds what published tools have done to data, replayed here, and is silent on the same data done right."""

import json
import random
import subprocess
import sys

import pytest

from alidade.errors import DataError
from alidade.preferences.doctor import examine

THINGS = [
    f"{first}{second}"
    for first in ["kestrel", "bramble", "lantern", "thistle", "harbour"]
    for second in map(str, range(40))
]
WAYS = ["soak it overnight", "warm it slowly", "cut it thin", "leave it alone", "ask a neighbour", "use less of it"]


def questions(count, seed=0):
    """(prompt, four answers): answers speak of what is asked for, in other words each."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        things = rng.sample(THINGS, 3)
        asked = f"How do I keep a {things[0]} beside the {things[1]}?"
        answers = [
            f"{way.capitalize()}, then move the {things[place % 2]} to a {rng.choice(THINGS)} {'and wait ' * rng.randrange(3)}today."
            for place, way in enumerate(rng.sample(WAYS, 4))
        ]
        rows.append((asked, answers))
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def checks(found):
    return {one.ailment.check for one in found.complaints}


def faults(found):
    return {one.ailment.check for one in found.complaints if one.is_fault}


def complaint(found, check):
    return next(one for one in found.complaints if one.ailment.check == check)


def turns(asked, answer):
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def best_and_worst(ratings):
    """distilabel's FormatTextGenerationDPO: the first of the highest, the first of the lowest."""
    return ratings.index(max(ratings)), ratings.index(min(ratings))


def distilabel(rows, ratings, *, keep_ties):
    for (asked, answers), given in zip(rows, ratings, strict=True):
        chosen, rejected = best_and_worst(given)
        if chosen != rejected or keep_ties:
            yield {
                "prompt": asked,
                "chosen": turns(asked, answers[chosen]),
                "chosen_rating": given[chosen],
                "rejected": turns(asked, answers[rejected]),
                "rejected_rating": given[rejected],
            }


def test_all_tied_ratings_turned_into_a_preference_are_found_and_rows_without_ties_are_not(tmp_path):
    rows = questions(60)
    rng = random.Random(1)
    ratings = [
        [4.0] * 4 if place in {3, 17, 40, 41} else [rng.choice([1.0, 2.0, 3.0, 5.0]), 4.0, 2.5, 3.5]
        for place in range(60)
    ]
    found = examine(write(tmp_path / "tied.jsonl", distilabel(rows, ratings, keep_ties=True)))
    assert faults(found) == {"equal-pair", "tied-ratings"}
    assert complaint(found, "equal-pair").lines == (4, 18, 41)
    assert complaint(found, "equal-pair").count == 4
    clean = examine(write(tmp_path / "clean.jsonl", distilabel(rows, ratings, keep_ties=False)))
    assert checks(clean) <= {"length"}


def side_by_side(rows, failed, *, by_id):
    """open-instruct's parse_preferences: failed rows are dropped, the index is reset, columns are put side by side."""
    binarised = [None if place in failed else (answers[0], answers[1]) for place, (_, answers) in enumerate(rows)]
    if by_id:
        joined = [(asked, pair) for (asked, _), pair in zip(rows, binarised, strict=True) if pair]
    else:
        kept = [pair for pair in binarised if pair]
        joined = list(zip((asked for asked, _ in rows), kept, strict=False))
    for asked, (chosen, rejected) in joined:
        yield {"prompt": asked, "chosen": turns(asked, chosen), "rejected": turns(asked, rejected)}


@pytest.mark.parametrize("failed", [{20}, {20, 60, 61}, {5, 35, 70, 100, 130}])
def test_answers_beside_the_prompts_of_other_rows_are_found_and_rows_joined_by_id_are_not(tmp_path, failed):
    rows = questions(160)
    found = examine(write(tmp_path / "shifted.jsonl", side_by_side(rows, failed, by_id=False)))
    assert faults(found) == {"misjoined-rows"}
    one = complaint(found, "misjoined-rows")
    wrong = 160 - len(failed) - min(failed)
    assert 0.9 * wrong <= one.count <= wrong + 2
    assert abs(one.lines[0] - (min(failed) + 1)) <= 2
    assert set(one.measured["shifts"]) <= {str(shift) for shift in range(1, len(failed) + 1)}
    clean = examine(write(tmp_path / "clean.jsonl", side_by_side(rows, failed, by_id=True)))
    assert checks(clean) <= {"length"}


def test_neighbouring_rows_of_one_prompt_are_not_misjoined(tmp_path):
    rows = [
        {"prompt": asked, "chosen": answers[place], "rejected": answers[place + 1]}
        for asked, answers in questions(30)
        for place in range(3)
    ]
    assert "misjoined-rows" not in checks(examine(write(tmp_path / "rows.jsonl", rows)))


def test_failures_to_parse_that_were_averaged_in_are_found_and_rewards_below_zero_are_not(tmp_path):
    def rated(scores):
        for (asked, answers), (high, low) in zip(questions(40), scores, strict=True):
            yield {
                "prompt": asked,
                "chosen": answers[0],
                "rejected": answers[1],
                "chosen_rating": high,
                "rejected_rating": low,
            }

    rng = random.Random(2)
    ratings = [[sum(rng.choice([3, 4, 5]) for _ in range(4)) / 4, 2.0] for _ in range(40)]
    ratings[7][1] = sum([-1, -1, -1, 1]) / 4
    ratings[20][1] = -1.0
    found = examine(write(tmp_path / "failed.jsonl", rated(ratings)))
    assert faults(found) == {"parse-failures-as-ratings"}
    assert complaint(found, "parse-failures-as-ratings").lines == (8, 21)
    rewards = [(rng.gauss(0.5, 2) + 5, rng.gauss(-0.5, 2) - 5) for _ in range(40)]
    assert checks(examine(write(tmp_path / "rewards.jsonl", rated(rewards)))) <= {"length"}


FIRST_TURNS = [
    "Write a poem: roses are red, and {thing} is blue",
    "I have two questions.\n\nFirst, is a {thing} heavy?\n\nSecond, is it round?",
    "Here is my list: a {thing}, a rope, a lamp. What is missing?",
    "How heavy is a {thing}?",
]


def transcripts(count):
    for place in range(count):
        first = FIRST_TURNS[place % 4].format(thing=THINGS[place])
        yield first, f"\n\nHuman: {first}\n\nAssistant: It depends on the {THINGS[place]}."


def first_turn_by_colon(transcript):
    """HF's CAI generator: the first segment between blank lines that holds the marker, up to its next colon and space."""
    return next(segment.split(": ")[1] for segment in transcript.split("\n\n") if "Human:" in segment)


def generated(rows, first_turn):
    for whole, transcript in rows:
        asked = first_turn(whole, transcript)
        more = " Or not." * (len(whole) % 2)
        yield {
            "prompt": asked,
            "chosen": turns(asked, "I would weigh it."),
            "rejected": turns(asked, "No idea." + more * 2),
        }


def test_prompts_cut_at_a_colon_or_blank_line_are_found_beside_their_source_and_whole_ones_are_not(tmp_path):
    rows = list(transcripts(80))
    source = write(
        tmp_path / "source.jsonl",
        ({"chosen": transcript, "rejected": transcript.replace("It depends", "Ask")} for _, transcript in rows),
    )
    cut = write(tmp_path / "cut.jsonl", generated(rows, lambda _, transcript: first_turn_by_colon(transcript)))
    found = complaint(examine(cut, source), "truncated-prompt")
    assert (found.count, found.lines, found.is_fault) == (60, (1, 2, 3), True)
    whole = write(tmp_path / "whole.jsonl", generated(rows, lambda whole, _: whole))
    assert "truncated-prompt" not in checks(examine(whole, source))
    assert not faults(examine(whole))


def test_a_question_that_begins_like_another_is_not_cut(tmp_path):
    other = write(tmp_path / "other.jsonl", [{"prompt": "How do I bake bread without yeast?", "completion": "Soda."}])
    rows = [
        {"prompt": "How do I bake bread", "completion": "Flour."},
        {"prompt": "How do I bake bread with", "completion": "So."},
    ]
    found = complaint(examine(write(tmp_path / "rows.jsonl", rows), other), "truncated-prompt")
    assert found.lines == (2,)


def test_a_cut_prompt_is_found_where_the_row_holds_the_whole_conversation(tmp_path):
    rows = [
        {"prompt": first_turn_by_colon(transcript), "chosen": transcript, "rejected": f"{transcript} Or not."}
        for _, transcript in transcripts(20)
    ]
    assert complaint(examine(write(tmp_path / "rows.jsonl", rows)), "truncated-prompt").count == 15


def test_many_prompts_without_a_colon_or_blank_line_are_worth_a_note(tmp_path):
    rows = [
        {"prompt": f"{asked} {place}", "completion": answers[0]}
        for place, (asked, answers) in enumerate(questions(600))
    ]
    found = examine(write(tmp_path / "rows.jsonl", rows))
    assert "prompts-without-marks" in checks(found) - faults(found)
    rows[5]["prompt"] += " Note: be brief."
    assert "prompts-without-marks" not in checks(examine(write(tmp_path / "rows.jsonl", rows)))


def test_a_published_test_split_in_the_training_pool_is_found_and_its_train_split_is_not(tmp_path):
    rows = [{"prompt": asked, "chosen": a[0], "rejected": a[1]} for asked, a in questions(120)]
    train, test = rows[:80], rows[80:]
    published = write(tmp_path / "test_prefs.jsonl", test)
    # The handbook's migrated configs put test_prefs into the training pool; white space and case do not hide a row.
    pool = [*train, *({**row, "prompt": f"  {row['prompt'].upper()}"} for row in test)]
    found = examine(write(tmp_path / "pool.jsonl", pool), published)
    one = complaint(found, "shared-prompts")
    assert (one.count, one.lines, one.is_fault) == (40, (81, 82, 83), True)
    clean = examine(write(tmp_path / "train.jsonl", train), published)
    assert (faults(clean), checks(clean) & {"shared-prompts"}) == (set(), set())


def test_a_prompt_with_a_few_other_words_is_nearly_the_same(tmp_path):
    long = "Please explain to my class of ten year olds why the sky over the harbour looks blue at noon and red in the evening"
    rows = [
        {"prompt": long + ", in short words", "completion": "Air."},
        {"prompt": "How heavy is it?", "completion": "Very."},
    ]
    other = write(tmp_path / "other.jsonl", [{"prompt": long, "completion": "Light."}])
    found = examine(write(tmp_path / "rows.jsonl", rows), other)
    assert (complaint(found, "nearly-shared-prompts").lines, faults(found)) == ((1,), set())


def test_rows_written_twice_are_noted(tmp_path):
    rows = [{"prompt": asked, "chosen": a[0], "rejected": a[1]} for asked, a in questions(20)]
    found = examine(write(tmp_path / "rows.jsonl", [*rows, rows[4]]))
    assert (complaint(found, "repeated-rows").lines, faults(found)) == ((21,), set())


PAIR = {"prompt": "q one", "chosen": "yes", "rejected": "no"}


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ({**PAIR, "chosen": "a  b", "rejected": " a b"}, "equal-pair"),
        ({**PAIR, "label_prob": 1.5}, "impossible-label"),
        ({**PAIR, "label_prob": float("nan")}, "impossible-label"),
        ({**PAIR, "label_prob": "0.9"}, "impossible-label"),
        ({**PAIR, "margin": float("inf")}, "impossible-label"),
        ({**PAIR, "chosen_rating": float("nan"), "rejected_rating": 1.0}, "impossible-label"),
        ({**PAIR, "chosen_rating": 2, "rejected_rating": 3}, "rating-against-choice"),
        ({**PAIR, "score_chosen": 2.0, "score_rejected": 2.0}, "tied-ratings"),
        ({**PAIR, "ratings": [4, 4, 4]}, "tied-ratings"),
        ({**PAIR, "rejected": ""}, "unusable-rows"),
        ({**PAIR, "rejected": None}, "unusable-rows"),
        ({**PAIR, "rejected": "no\n\nHuman: and now?"}, "marker-in-answer"),
        ({**PAIR, "chosen": "yes<|im_end|>"}, "marker-in-answer"),
        ({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant:"}, "empty-last-turn"),
        ({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a"}, "not-the-assistant-last"),
        ({**PAIR, "prompt": turns("a", "b"), "chosen": turns("c", "d")}, "unusable-rows"),
    ],
)
def test_a_wrong_row_among_right_ones_is_a_fault_with_its_line(tmp_path, row, check):
    base = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}
    good = {**PAIR, **{name: 3 for name in row if "rating" in name or "score" in name}} if "prompt" in row else base
    good |= {"chosen_rating": 4} if "chosen_rating" in row else {"score_chosen": 4} if "score_chosen" in row else {}
    good |= {"ratings": [4, 1]} if "ratings" in row else {}
    good |= {"label_prob": 0.9} if "label_prob" in row else {}
    path = write(tmp_path / "rows.jsonl", [good, good, row, good])
    found = examine(path)
    assert check in faults(found)
    assert complaint(found, check).lines == (3,)
    assert complaint(found, check).ailment.hint
    assert not faults(examine(write(tmp_path / "clean.jsonl", [good, good, good])))


def test_two_turns_of_one_role_are_noted(tmp_path):
    transcript = "\n\nHuman: a\n\nHuman: b\n\nAssistant: {}"
    row = {"chosen": transcript.format("c"), "rejected": transcript.format("d")}
    found = examine(write(tmp_path / "rows.jsonl", [row]))
    assert ("one-role-twice" in checks(found), faults(found)) == (True, set())


def test_an_equal_pair_called_a_tie_is_no_fault(tmp_path):
    row = {"prompt": "q", "response_1": "a", "response_2": "a", "human_label": 2}
    found = examine(write(tmp_path / "rows.jsonl", [row, {**row, "response_1": "b"}]))
    assert (checks(found), faults(found)) == ({"equal-tie"}, set())


def completions(*scored):
    annotations = [
        {"honesty": {"Rating": str(rating), "Rationale": ""}, "helpfulness": {"Rating": "N/A"}} for _, rating in scored
    ]
    return [
        {"response": f"answer {place}", "overall_score": score, "annotations": said}
        for place, ((score, _), said) in enumerate(zip(scored, annotations, strict=True))
    ]


def test_ultrafeedbacks_tens_that_were_ones_are_found_and_tens_that_are_tens_are_not(tmp_path):
    rows = [{"instruction": f"q {place}", "completions": completions((10, 5), (6, 3))} for place in range(5)]
    assert not faults(examine(write(tmp_path / "clean.jsonl", rows)))
    rows[2]["completions"] = completions((10, 1), (6, 3))
    rows[4]["completions"] = completions((10, 3), (6, 3))
    found = examine(write(tmp_path / "rows.jsonl", rows))
    assert complaint(found, "ten-for-one").lines == (3,)
    assert complaint(found, "ten-for-one-doubtful").lines == (5,)
    assert not complaint(found, "ten-for-one-doubtful").is_fault


def pairs_by_length(count, longer_wins):
    rng = random.Random(3)
    for place in range(count):
        short, long = f"It is {place}.", f"It is {place}, I think, and so do others."
        chosen, rejected = (long, short) if rng.random() < longer_wins else (short, long)
        yield {"prompt": f"What is number {place}", "chosen": chosen, "rejected": rejected}


def test_how_often_the_longer_answer_is_chosen_is_told_with_its_interval(tmp_path):
    found = complaint(examine(write(tmp_path / "a.jsonl", pairs_by_length(400, 0.5))), "length")
    assert found.measured["low"] < 0.5 < found.measured["high"]
    assert found.measured["pairs"] == 400
    shorter = examine(write(tmp_path / "b.jsonl", pairs_by_length(400, 0.3)))
    assert complaint(shorter, "length").measured["accuracy_low"] > 0.6
    assert not faults(shorter)
    assert faults(examine(write(tmp_path / "c.jsonl", pairs_by_length(400, 0.97)))) == {"length-confound"}
    assert "length" not in checks(examine(write(tmp_path / "d.jsonl", pairs_by_length(20, 0.5))))


def test_a_file_of_no_known_format_is_looked_at_by_its_cells(tmp_path):
    rows = [{"text_no": place, "rating": 4 if place else -1} for place in range(4)]
    found = examine(write(tmp_path / "rows.jsonl", rows))
    assert (found.format, faults(found)) == ("unknown", {"parse-failures-as-ratings"})


def test_a_file_that_is_no_table_is_an_error(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        examine(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="empty"):
        examine(tmp_path / "empty.jsonl")


def run(*arguments):
    command = [sys.executable, "-m", "alidade.cli", "data", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_is_wrong_and_its_exit_code_that_something_is(tmp_path):
    sick = write(tmp_path / "sick.jsonl", [PAIR, {**PAIR, "chosen": "no"}])
    done = run("doctor", sick)
    assert done.returncode == 3
    assert "bad: equal-pair: 1 of 2 rows (2)" in done.stdout
    assert "hint:" in done.stdout
    told = json.loads(run("doctor", sick, "--json").stdout)
    assert (told["faults"], told["found"][0]["check"], told["found"][0]["lines"]) == (1, "equal-pair", [2])
    well = write(tmp_path / "well.jsonl", [PAIR])
    done = run("doctor", well)
    assert (done.returncode, "good: no fault" in done.stdout) == (0, True)


def test_the_command_converts_and_says_what_is_left_behind(tmp_path):
    rows = write(tmp_path / "rows.jsonl", [{**PAIR, "label_prob": 0.75}])
    done = run("convert", rows, tmp_path / "votes.csv", "--to", "crowd-kit")
    assert done.returncode == 0, done.stderr
    assert "left behind: Comparison.label_prob" in done.stdout
    back = run("convert", tmp_path / "votes.csv", tmp_path / "pairs.jsonl", "--to", "trl", "--json")
    assert json.loads(back.stdout)["rows"] == 1
    assert json.loads((tmp_path / "pairs.jsonl").read_text())["prompt"] == [{"role": "user", "content": "q one"}]
    again = run("convert", rows, rows, "--to", "trl")
    assert (again.returncode, "over itself" in again.stderr) == (2, True)
