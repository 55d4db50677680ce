"""From a user's file to records: `read_demonstrations`, `read_comparisons`, `read_judgements`, `read_feedback`, `read_prompts`.

What is wrong with a row is one of two things. A row that is not JSON, lacks a column or has a label that is no label
(NaN, an unknown word) is always an error: the file is not what it seems. A row whose cells do not make a record (an
empty answer, two equal answers, a number where text should be) is an error too, until `allow_dropped` says which share
of such rows may be left out; then it is counted under its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from alidade.errors import DataError, UsageError
from alidade.preferences.columns import BadRow, conversation_id, text_of
from alidade.preferences.comparisons import COMPARISONS, Pair
from alidade.preferences.demonstrations import DEMONSTRATIONS, Answered
from alidade.preferences.layout import Format
from alidade.preferences.prompts import PROMPTS, Asked
from alidade.preferences.rankings import PAIRED, RANKINGS, Ranked
from alidade.preferences.tables import Row, rows_of, stem_of
from alidade.preferences.unpaired import FEEDBACK, Judged
from alidade.records import Attribute, Comparison, Demonstration, Feedback, Prompt, Ranking, Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)
J = TypeVar("J", Comparison, Comparison | Ranking)
AUTO = "auto"
REPEATED = "repeated prompt"
NOTHING = "row without an answer or pair to learn from"
TOKENS = ("rows of token ids are not read", "give the text: `prompt`, `completion`, `chosen`, `rejected`")
# Columns of known kinds of file that no record can hold: what they are, and what to give instead.
UNREAD = (
    (
        {"completions", "labels"},
        "a label for each step of an answer (stepwise supervision) is not learned from",
        "rewards judge whole answers: join the steps to one `completion` with one `label`",
    ),
    ({"prompt_ids"}, *TOKENS),
    ({"chosen_ids"}, *TOKENS),
    (
        {"text"},
        "running text has no prompt and no answer",
        "give `messages` or `prompt` and `completion`; the stages `open-text` and `pretrain` learn from `text`",
    ),
)


@dataclass(frozen=True)
class Loaded(Generic[R]):
    """What a file held: records, what was left out by reason, the format it was read as, and the columns not used."""

    rows: list[R]
    dropped: dict[str, int]
    format: str
    ignored: tuple[str, ...]
    read: int

    def counts(self) -> dict[str, object]:
        """The numbers of this file, for `counts.json`."""
        return {
            "rows_read": self.read,
            "records": len(self.rows),
            "dropped": dict(sorted(self.dropped.items())),
            "format": self.format,
            "ignored_columns": list(self.ignored),
        }


def read_demonstrations(path: Path | str, fmt: str = AUTO, *, allow_dropped: float = 0.0) -> Loaded[Demonstration]:
    """Prompts with good answers; `allow_dropped` is a share from 0 to 1.

    Raises:
        DataError: naming file, line and a hint, when the file or too many of its rows cannot be used.
        UsageError: when there is no such format.
    """

    def record(item: Answered | Demonstration, name: str) -> Demonstration:
        if isinstance(item, Demonstration):
            return item
        return Demonstration(id=name, prompt=item.prompt, answer=item.answer)

    return _Reading(Path(path), DEMONSTRATIONS, fmt, allow_dropped).load(record)


def read_comparisons(path: Path | str, fmt: str = AUTO, *, allow_dropped: float = 0.0) -> Loaded[Comparison]:
    """Pairs of answers with the probability that the left one is better; pairs of one prompt stand together.

    Raises:
        DataError: naming file, line and a hint, when the file or too many of its rows cannot be used.
        UsageError: when there is no such format.
    """
    loaded = _Reading(Path(path), PAIRED, fmt, allow_dropped).load(_comparison)
    loaded.rows[:] = together(loaded.rows)
    return loaded


def read_judgements(path: Path | str, fmt: str = AUTO, *, allow_dropped: float = 0.0) -> Loaded[Comparison | Ranking]:
    """Pairs of answers, or rankings of several; those of one prompt stand together.

    Raises:
        DataError: naming file, line and a hint, when the file or too many of its rows cannot be used.
        UsageError: when there is no such format.
    """

    def record(item: Pair | Comparison | Ranked, name: str) -> Comparison | Ranking:
        return _ranking(item, name) if isinstance(item, Ranked) else _comparison(item, name)

    formats: tuple[Format[Any], ...] = (*COMPARISONS, *RANKINGS)
    loaded = _Reading(Path(path), formats, fmt, allow_dropped).load(record)
    loaded.rows[:] = together(loaded.rows)
    return loaded


def read_feedback(path: Path | str, fmt: str = AUTO, *, allow_dropped: float = 0.0) -> Loaded[Feedback]:
    """Answers judged one by one; a file of comparisons is read too, each as feedback on its two answers.

    Raises:
        DataError: naming file, line and a hint, when the file or too many of its rows cannot be used.
        UsageError: when there is no such format.
    """

    def record(item: Judged | Feedback, name: str) -> Feedback:
        if isinstance(item, Feedback):
            return item
        answer = text_of(item.answer, "answer")
        return Feedback(
            id=name, prompt=item.prompt, answer=answer, label_prob=item.label_prob, annotator=item.annotator
        )

    return _Reading(Path(path), FEEDBACK, fmt, allow_dropped).load(record)


def together(judgements: Iterable[J]) -> list[J]:
    """Judgements with those of one prompt next to each other, prompts in the order they first appear."""
    groups: dict[str, list[J]] = {}
    for row in judgements:
        groups.setdefault(row.id.rpartition("/")[0], []).append(row)
    return list(chain.from_iterable(groups.values()))


def read_prompts(path: Path | str, fmt: str = AUTO, *, allow_dropped: float = 0.0) -> Loaded[Prompt]:
    """Conversations waiting for an answer, each once; `about` holds the right answer, and checks, where the file gives them.

    Raises:
        DataError: naming file, line and a hint, when the file or too many of its rows cannot be used.
        UsageError: when there is no such format.
    """

    def record(item: Asked, name: str) -> Prompt:
        known = {"answer": item.answer, "checks": item.checks}
        about = {column: value for column, value in known.items() if value}
        return Prompt(id=name, conversation=item.prompt, about=about)

    loaded = _Reading(Path(path), PROMPTS, fmt, allow_dropped).load(record)
    unique: dict[str, Prompt] = {}
    for row in loaded.rows:
        unique.setdefault(conversation_id(row.conversation), row)
    if repeated := len(loaded.rows) - len(unique):
        loaded.dropped[REPEATED] = repeated
        loaded.rows[:] = unique.values()
    return loaded


def _comparison(pair: Pair | Comparison, name: str) -> Comparison:
    if isinstance(pair, Comparison):
        return pair
    left, right = text_of(pair.left, "answer"), text_of(pair.right, "answer")
    if left == right:
        raise BadRow("equal answers")
    return Comparison(
        id=f"{conversation_id(pair.prompt)}/{name}",
        prompt=pair.prompt,
        left=left,
        right=right,
        label_prob=pair.label_prob,
        annotator=pair.annotator,
        shown="left first" if pair.shown else "unknown",
        attribute=_attribute(pair.attribute),
        tie_prob=_tie_prob(pair),
        margin=pair.margin,
    )


def _ranking(item: Ranked, name: str) -> Ranking:
    answers = tuple(text_of(answer, "answer") for answer in item.answers)
    if len(answers) < 2:
        raise BadRow("a ranking of fewer than two answers")
    if len(set(answers)) < len(answers):
        raise BadRow("equal answers")
    return Ranking(
        id=item.id or f"{conversation_id(item.prompt)}/{name}",
        prompt=item.prompt,
        answers=answers,
        ranks=item.ranks,
        annotator=item.annotator,
        attribute=_attribute(item.attribute),
        guideline=item.guideline,
    )


def _attribute(value: Any) -> Attribute:
    if value not in get_args(Attribute):
        names = ", ".join(get_args(Attribute))
        raise BadRow(f"the attribute is not one of {names}", detail=f"it is {str(value)[:20]!r}", fatal=True)
    return value


def _tie_prob(pair: Pair) -> float:
    room = 2 * min(pair.label_prob, 1 - pair.label_prob)
    if pair.tie_prob > room + 1e-9:
        detail = f"a label_prob of {pair.label_prob:g} leaves room for {room:g}"
        raise BadRow("tie_prob is too large", detail=detail, fatal=True)
    return pair.tie_prob


class _Reading(Generic[T]):
    """One file being read: the format is chosen from the first row, and problems are gathered until the end."""

    def __init__(self, path: Path, formats: Sequence[Format[T]], fmt: str, allow_dropped: float) -> None:
        self.path = path
        self.formats = formats
        self.fmt = fmt
        self.allowed = allow_dropped
        self.problems: Counter[str] = Counter()
        self.first_problem: tuple[Row, BadRow] | None = None

    def load(self, record: Callable[[T, str], R]) -> Loaded[R]:
        rows = rows_of(self.path)
        first = next(rows, None)
        if first is None:
            raise DataError("the file is empty", where=str(self.path), hint="a file needs at least one row")
        chosen = choose_format(self.formats, self.fmt, first)
        kept: list[R] = []
        read = silent = 0
        for row in chain((first,), rows):
            read += 1
            before = len(kept) + self.problems.total()
            self._keep(row, chosen, record, kept)
            silent += before == len(kept) + self.problems.total()
        self._check_share(len(kept))
        dropped = dict(self.problems) | ({NOTHING: silent} if silent else {})
        if not kept:
            raise DataError("no row of the file can be used", where=str(self.path), hint=f"dropped: {dropped}")
        ignored = tuple(sorted(set(first.values) - {*chosen.needs, *chosen.may}))
        return Loaded(kept, dropped, chosen.name, ignored, read)

    def _keep(self, row: Row, chosen: Format[T], record: Callable[[T, str], R], kept: list[R]) -> None:
        absent = [column for column in chosen.needs if column not in row.values]
        if absent:
            hint = f"every row of a {chosen.name!r} file has the columns {', '.join(chosen.needs)}"
            raise DataError(f"the row has no column {absent[0]!r}", where=row.where, hint=hint)
        for index, item in enumerate(self._items(row, chosen)):
            try:
                kept.append(record(item, f"{stem_of(self.path)}:{row.number}.{index}"))
            except BadRow as problem:
                self._note(row, problem)

    def _items(self, row: Row, chosen: Format[T]) -> Iterator[T]:
        try:
            yield from chosen.read(row.values)
        except BadRow as problem:
            self._note(row, problem)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            # A cell of quite another shape than the format's (a number where a list of votes should be).
            raise DataError(
                f"the row does not fit the format {chosen.name!r}: {error}",
                where=row.where,
                hint=f"its columns are {', '.join(chosen.needs)}; compare the row with its neighbours",
            ) from error

    def _note(self, row: Row, problem: BadRow) -> None:
        if problem.fatal:
            hint = problem.detail or "mend or remove the row: a label is never guessed"
            raise DataError(problem.reason, where=row.where, hint=hint)
        self.problems[problem.reason] += 1
        self.first_problem = self.first_problem or (row, problem)

    def _check_share(self, kept: int) -> None:
        bad = self.problems.total()
        share = bad / max(1, bad + kept)
        if self.first_problem is None or share <= self.allowed:
            return
        row, problem = self.first_problem
        reasons = ", ".join(f"{reason}: {count}" for reason, count in self.problems.most_common())
        enough = min(1.0, int(share * 1000 + 1) / 1000)
        raise DataError(
            f"{problem.reason} ({problem.detail})" if problem.detail else problem.reason,
            where=row.where,
            hint=f"mend the file ({reasons}; of {bad + kept} in all), or set allow_dropped to {enough:g} to leave such "
            "rows out and count them",
        )


def choose_format(formats: Sequence[Format[T]], fmt: str, first: Row) -> Format[T]:
    """The format asked for, or the one that knows most of the first row's columns.

    Raises:
        DataError: when no format fits, or two fit equally well.
        UsageError: when there is no format of that name.
    """
    columns = set(first.values)
    if fmt != AUTO:
        named = next((known for known in formats if known.name == fmt), None)
        if named is None:
            raise UsageError(
                f"there is no format {fmt!r}", hint=f"formats: auto, {', '.join(known.name for known in formats)}"
            )
        return named
    fitting = [known for known in formats if not known.named and columns.issuperset(known.needs)]
    best = [known for known in fitting if len(known.needs) == max(len(other.needs) for other in fitting)]
    if len(best) == 1:
        return best[0]
    found = ", ".join(sorted(columns)) or "none"
    _refuse_unread(columns, first)
    if best:
        names = ", ".join(known.name for known in best)
        raise DataError(f"the columns ({found}) fit several formats", where=first.where, hint=f"name one: {names}")
    needs = "\n".join(f"  {known.name}: {', '.join(known.needs)}" for known in formats)
    raise DataError(
        f"no known format has these columns: {found}",
        where=first.where,
        hint=f"a file has all columns of one of\n{needs}",
    )


def _refuse_unread(columns: set[str], first: Row) -> None:
    for known, what, hint in UNREAD:
        if columns.issuperset(known):
            raise DataError(what, where=first.where, hint=hint)
