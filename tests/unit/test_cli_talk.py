"""`chat`, `compare` and `show tokens`: scripted models speak, a tiny random model is shown its tokens."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.toy_stages import SUM, write_recipe

from alidade.cli.main import main
from alidade.pipeline import load_recipe, run
from alidade.store import Store

Call = Callable[..., tuple[object, str, str]]
RULES = [{"ask": "bread", "reply": "Mix flour and water"}, {"ask": "tea", "reply": "Boil water"}]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line (exit code, stdout, stderr) in a folder with two scripted models."""
    monkeypatch.chdir(tmp_path)
    Path("one.jsonl").write_text("".join(json.dumps(rule) + "\n" for rule in RULES))
    Path("two.jsonl").write_text(json.dumps({"ask": "bread", "reply": "Buy some"}) + "\n")

    def alidade(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["alidade", *arguments])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        return code, *capsys.readouterr()

    return alidade


def test_one_question_gets_one_answer_on_stdout(call: Call) -> None:
    assert call("chat", "script:one.jsonl", "-p", "How do I make bread?") == (0, "Mix flour and water\n", "")


def test_an_answer_that_was_cut_off_says_so(call: Call) -> None:
    said = call("chat", "script:one.jsonl", "-p", "bread?", "--max-new-tokens", "2")
    assert said == (0, "Mix flour [cut off]\n", "")


def test_a_fault_of_the_model_is_shown_in_place_of_the_answer(call: Call) -> None:
    assert call("chat", "script:one.jsonl", "-p", "What?")[1].startswith("[no answer: no rule of the script")


def test_a_talk_goes_on_until_an_empty_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("How do I make bread?\nAnd tea?\n\nNever asked\n"))
    code, out, _ = call("chat", "script:one.jsonl")
    assert code == 0
    assert out == "Mix flour and water\nBoil water\n"


def test_a_talk_ends_with_its_input(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("bread"))
    assert call("chat", "script:one.jsonl")[:2] == (0, "Mix flour and water\n")


def test_compare_asks_every_model_the_same(call: Call) -> None:
    _, out, _ = call("compare", "bread?", "tea?", "-m", "script:one.jsonl", "-m", "script:two.jsonl", "--json")
    first, second = json.loads(out)
    assert first["prompt"] == "bread?"
    assert [answer["text"] for answer in first["answers"].values()] == ["Mix flour and water", "Buy some"]
    assert second["answers"]["script:two.jsonl"]["error"]


def test_compare_shows_answers_side_by_side(call: Call) -> None:
    _, out, _ = call("compare", "bread?", "-m", "script:one.jsonl", "-m", "script:two.jsonl")
    line = next(line for line in out.splitlines() if "Buy some" in line)
    assert "Mix flour and water" in line


def test_a_run_without_a_model_cannot_be_talked_to(call: Call) -> None:
    out = Path("runs/toy")
    run(load_recipe(write_recipe(Path(), SUM)), Store(out / "store"), out=out)
    code, _, err = call("chat")
    assert (code, err) == (2, "error: this run made no model to talk to\n  at runs/toy\n")


def tiny_model(folder: Path) -> None:
    """A random Llama with a byte-level tokenizer, as a plain Hugging Face folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(["<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    core = Tokenizer(models.BPE(vocab=letters, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>").save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(letters), eos_token_id=0, **sizes)).save_pretrained(folder)


def test_the_trained_tokens_are_the_answer_and_its_stop_token(call: Call) -> None:
    tiny_model(Path("tiny"))
    shown = ["show", "tokens", "Hi?", "--answer", "Yo.", "--model", "tiny"]
    rows = json.loads(call(*shown, "--json")[1])
    assert "".join(row["text"] for row in rows if row["trained"]) == " Yo.<eos>"
    assert "".join(row["text"] for row in rows if not row["trained"]) == "User: Hi?\nAssistant:"
    code, out, err = call(*shown)
    assert code == 0
    assert out.replace("\n", "") == "User: Hi?\\nAssistant: >>  Yo.<eos>"
    assert err.endswith("tokens, 5 of them trained\n")


def test_tokens_of_a_file_are_those_of_its_first_demonstration(call: Call) -> None:
    tiny_model(Path("tiny"))
    row = {"id": "a", "prompt": {"messages": [{"role": "user", "text": "A?"}]}, "answer": "B."}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    rows = json.loads(call("show", "tokens", "--rows", "rows.jsonl", "-m", "tiny", "--json")[1])
    assert "".join(row["text"] for row in rows if row["trained"]) == " B.<eos>"


def test_trained_tokens_are_green_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from alidade.cli import show

    screen = io.StringIO()
    coloured = Console(file=screen, force_terminal=True, color_system="standard", width=120)
    monkeypatch.setattr("alidade.cli.terminal.results", lambda: coloured)
    show._print_tokens(["User", " Yo"], [False, True])
    assert "\x1b[32m Yo" in screen.getvalue()
    assert ">>" not in screen.getvalue()
