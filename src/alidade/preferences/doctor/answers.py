"""The two answers of a pair: are they two, and does their length give the label away?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from alidade.preferences.doctor.complaint import Ailment, Complaint
from alidade.preferences.doctor.sheet import Sheet
from alidade.stats import clustered_proportion

FEWEST = 30  # pairs below which nothing is said of length
STRONG = 0.8  # where length alone is right this often, nothing else need be learned

UNUSABLE = Ailment(
    "unusable-rows",
    "fault",
    "the row makes no record",
    "an answer or a prompt is empty, or a cell holds something else than text or turns",
    "mend or remove the rows; the stages refuse them, or count them under `allow_dropped`",
)
EQUAL = Ailment(
    "equal-pair",
    "fault",
    "the two answers are the same text, yet one is said to be better",
    "the best and the worst of equally rated answers were taken, or an answer was sampled twice",
    "remove these rows: their loss is noise",
)
EQUAL_TIE = Ailment(
    "equal-tie",
    "note",
    "the two answers are the same text, and the label is a tie",
    "an answer was sampled twice",
    "nothing is learned from these rows; they may go",
)
LENGTH = Ailment(
    "length",
    "note",
    "of pairs whose answers differ in length, the longer one is chosen",
    "annotators and judges lean to one length, or chosen and rejected come from different writers",
    "compare a reward model with length alone; `length_bias: removed` takes length out of one",
)
LENGTH_ONLY = Ailment(
    "length-confound",
    "fault",
    "length alone tells which answer was chosen",
    LENGTH.cause,
    "balance the pairs by length, or pass `length_bias: removed` to the stage `reward`",
)


def unusable_rows(sheet: Sheet) -> Iterator[Complaint]:
    """Rows that could not be read, by reason."""
    bad = [case for case in sheet.cases if case.problem and not case.is_label]
    reasons = Counter(case.problem for case in bad)
    yield from UNUSABLE.found((case.line for case in bad), len(sheet.cases), reasons=dict(reasons))


def equal_pairs(sheet: Sheet) -> Iterator[Complaint]:
    """Pairs whose answers differ in white space at most."""
    decided, tied = [], []
    for case in sheet.cases:
        for pair in case.pairs:
            if pair.left.split() == pair.right.split():
                (tied if pair.label_prob == 0.5 else decided).append(case.line)
    yield from EQUAL.found(decided, len(sheet.cases))
    yield from EQUAL_TIE.found(tied, len(sheet.cases))


def length(sheet: Sheet) -> Iterator[Complaint]:
    """How often the longer answer is chosen (characters), with its 95 % interval; pairs of one prompt may resemble each other."""
    longer_won, prompts, lines = [], [], []
    for case in sheet.cases:
        for pair in case.pairs:
            gap = len(pair.left) - len(pair.right)
            if gap and pair.label_prob != 0.5:
                longer_won.append((gap > 0) == (pair.label_prob > 0.5))
                prompts.append(case.asked)
                lines.append(case.line)
    if len(longer_won) < FEWEST:
        return
    share = clustered_proportion(longer_won, prompts)
    shorter = share.mean < 0.5
    low, high = (1 - share.high, 1 - share.low) if shorter else (share.low, share.high)
    accuracy = {"accuracy": max(share.mean, 1 - share.mean), "accuracy_low": low, "accuracy_high": high}
    measured = {"longer_chosen": share.mean, "low": share.low, "high": share.high, "pairs": share.n, **accuracy}
    ailment = LENGTH_ONLY if low >= STRONG else LENGTH
    won = [line for line, won in zip(lines, longer_won, strict=True) if won != shorter]
    yield from ailment.found(won, len(set(lines)), **measured)
