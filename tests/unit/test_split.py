from alidade.preferences import held_out, prompt_key, split_by_prompt, take
from alidade.preferences.split import normalised
from alidade.records import Comparison, Conversation, Demonstration, Prompt


def prompts(count: int) -> list[Prompt]:
    return [
        Prompt(id=str(number), conversation=Conversation.ask(f"question number {number}")) for number in range(count)
    ]


def test_the_share_held_out_is_about_the_share_asked_for():
    split = split_by_prompt(prompts(4000), 0.1, seed=3)
    assert 320 < len(split.heldout) < 480
    assert len(split.train) + len(split.heldout) == 4000


def test_another_seed_holds_out_other_prompts():
    first, second = ({row.id for row in split_by_prompt(prompts(500), 0.2, seed).heldout} for seed in (0, 1))
    assert first != second


def test_no_share_holds_out_nothing_and_the_whole_share_everything():
    assert not split_by_prompt(prompts(50), 0.0, 0).heldout
    assert not split_by_prompt(prompts(50), 1.0, 0).train


def test_near_equal_prompts_share_a_key():
    key = prompt_key(Conversation.ask("How do I make bread?"))
    assert key == prompt_key(Conversation.ask("  how do I MAKE\n bread!! "))
    assert key == prompt_key(Conversation.ask("How do I make bread?", system="Be kind."))
    assert key != prompt_key(Conversation.ask("How do I make a bread?"))


def test_a_longer_conversation_stays_with_its_opening():
    opening = Conversation.ask("How do I make bread?")
    assert prompt_key(opening.then("assistant", "Knead.").then("user", "And then?")) == prompt_key(opening)


def test_prompts_without_letters_are_still_told_apart():
    assert prompt_key(Conversation.ask("???")) != prompt_key(Conversation.ask("!!!"))


def test_normalising_keeps_the_letters_of_every_script():
    assert normalised("Straße, ÉTÉ; हिन्दी \uff12") == "strasse été हिन्दी 2"


def test_taking_a_sample_keeps_prompts_whole_and_in_order():
    rows = [
        Comparison(
            id=f"{number}/{pair}", prompt=Conversation.ask(str(number)), left="a", right=f"b{pair}", label_prob=1
        )
        for number in range(40)
        for pair in range(3)
    ]
    some = take(rows, 30, seed=1)
    assert len(some) == 30
    assert {row.id.split("/")[0]: 0 for row in some}.keys() == {row.id.split("/")[0] for row in some}
    assert all(sum(row.id.startswith(f"{number}/") for row in some) in (0, 3) for number in range(40))
    assert [rows.index(row) for row in some] == sorted(rows.index(row) for row in some)
    assert some != rows[:30]


def test_taking_more_than_there_is_takes_all():
    rows = prompts(7)
    assert take(rows, 100, seed=0) == rows


def test_a_prompt_is_on_the_same_side_in_every_kind_of_file():
    for number in range(200):
        asked = Conversation.ask(f"what is {number}?")
        rows = (
            [Demonstration(id="d", prompt=asked, answer="a")],
            [Comparison(id="c", prompt=asked, left="a", right="b", label_prob=1)],
            [Prompt(id="p", conversation=asked)],
        )
        sides = {bool(split_by_prompt(kind, 0.5, 7).heldout) for kind in rows}
        assert sides == {held_out(prompt_key(asked), 0.5, 7)}
