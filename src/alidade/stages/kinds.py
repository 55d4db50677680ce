"""The kinds of artifact that stages exchange."""

from alidade.store import Kind

MODEL = Kind("model", files=("config.json", "tokenizer.json"))
REWARD_MODEL = Kind("reward-model", files=("config.json", "tokenizer.json", "alidade-reward.json"))
TEXT = Kind("text", files=("train.jsonl", "heldout.jsonl"))
DEMONSTRATIONS = Kind("demonstrations", files=("rows.jsonl",))
PROMPTS = Kind("prompts", files=("rows.jsonl",))
ANSWERS = Kind("answers", files=("rows.jsonl", "heldout.jsonl"))
VOTES = Kind("votes", files=("rows.jsonl",))
SCORES = Kind("scores", files=("rows.jsonl",))
COMPARISONS = Kind("comparisons", files=("rows.jsonl", "heldout.jsonl"))
FEEDBACK = Kind("feedback", files=("rows.jsonl", "heldout.jsonl"))
CONSTITUTION = Kind("constitution", files=("constitution.json",))
REVISIONS = Kind("revisions", files=("rows.jsonl",))
EVALUATION = Kind("evaluation", files=("summary.json",))
