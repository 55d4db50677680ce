"""The kinds of artifact that stages exchange."""

from alidade.store import Kind

MODEL = Kind("model", needs=("config.json", "tokenizer.json"))
REWARD_MODEL = Kind("reward-model", needs=("config.json", "tokenizer.json", "alidade-reward.json"))
TEXT = Kind("text", needs=("train.jsonl", "heldout.jsonl"))
DEMONSTRATIONS = Kind("demonstrations", needs=("rows.jsonl",))
PROMPTS = Kind("prompts", needs=("rows.jsonl",))
ANSWERS = Kind("answers", needs=("rows.jsonl", "heldout.jsonl"))
VOTES = Kind("votes", needs=("rows.jsonl",))
COMPARISONS = Kind("comparisons", needs=("rows.jsonl", "heldout.jsonl"))
EVALUATION = Kind("evaluation", needs=("summary.json",))
