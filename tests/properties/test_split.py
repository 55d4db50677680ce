import string

from hypothesis import given, settings
from hypothesis import strategies as st

from alidade.preferences import held_out, prompt_key, split_by_prompt
from alidade.preferences.split import normalised
from alidade.records import Comparison, Conversation, Demonstration, Prompt

# Case pairs, composed and decomposed accents, joiners, other scripts, punctuation: what makes prompts look alike.
HOSTILE = (
    string.ascii_letters
    + string.digits
    + "ßẞıİſéé ÉñﬁΣςσ٣हिन्दी中文\uff12½…¿?!.,:;'\"“”-\u2013\u2014_ \t\n\u200b\u200d\u00a0\ufeff🙂"
)
TEXTS = st.text(alphabet=HOSTILE, min_size=1, max_size=30)
FEW = st.lists(TEXTS, min_size=1, max_size=4)
SHARES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32)


@st.composite
def look_alikes(draw: st.DrawFn) -> list[str]:
    """Prompts of which several are the same but for case, white space and punctuation."""
    texts = draw(FEW)
    noise = st.sampled_from(["", " ", "\n", "?", "!!", " - "])
    change = st.sampled_from([str, str.upper, str.lower, str.title])
    return [
        draw(noise) + draw(change)(draw(st.sampled_from(texts))) + draw(noise) for _ in range(draw(st.integers(1, 12)))
    ]


def conversation(text: str) -> Conversation:
    return Conversation.ask(text)


@settings(deadline=None)
@given(look_alikes(), SHARES, SEEDS)
def test_no_prompt_is_on_both_sides_however_it_is_written(texts, share, seed):
    rows = [Prompt(id=str(number), conversation=conversation(text)) for number, text in enumerate(texts)]
    split = split_by_prompt(rows, share, seed)
    assert sorted(int(row.id) for row in split.train + split.heldout) == list(range(len(rows)))
    seen = {normalised(row.conversation.last_user_text) for row in split.train} - {""}
    assert not seen & {normalised(row.conversation.last_user_text) for row in split.heldout}


@settings(deadline=None)
@given(look_alikes(), SHARES, SEEDS)
def test_nothing_leaks_between_demonstrations_comparisons_and_prompts(texts, share, seed):
    demonstrations = [Demonstration(id="d", prompt=conversation(text), answer="a") for text in texts]
    comparisons = [
        Comparison(
            id=f"c/{number}",
            prompt=conversation(text).then("assistant", "b").then("user", "c"),
            left="a",
            right="b",
            label_prob=1,
        )
        for number, text in enumerate(texts)
    ]
    asked = [Prompt(id="p", conversation=conversation(text)) for text in texts]
    splits = (
        split_by_prompt(demonstrations, share, seed),
        split_by_prompt(comparisons, share, seed),
        split_by_prompt(asked, share, seed),
    )
    keys = [
        [prompt_key(getattr(row, "prompt", None) or row.conversation) for row in side]
        for split in splits
        for side in (split.train, split.heldout)
    ]
    learned = {key for side in keys[0::2] for key in side}
    kept_back = {key for side in keys[1::2] for key in side}
    assert not learned & kept_back


@settings(deadline=None)
@given(TEXTS, st.tuples(SHARES, SHARES), SEEDS)
def test_what_a_small_share_holds_out_a_larger_one_holds_out_too(text, shares, seed):
    key = prompt_key(conversation(text))
    assert held_out(key, min(shares), seed) <= held_out(key, max(shares), seed)


@settings(deadline=None)
@given(TEXTS)
def test_normalising_twice_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)


@settings(deadline=None)
@given(FEW, FEW, SHARES, SEEDS)
def test_rows_added_later_move_no_row(texts, more, share, seed):
    rows = [Prompt(id=str(number), conversation=conversation(text)) for number, text in enumerate(texts + more)]
    early = split_by_prompt(rows[: len(texts)], share, seed)
    late = split_by_prompt(rows, share, seed)
    assert early.heldout == late.heldout[: len(early.heldout)]
    assert early.train == late.train[: len(early.train)]
