"""One fit of crowd-kit's NoisyBradleyTerry; runs in the peer's virtual environment and imports nothing of ours.

`python peer.py VOTES`: VOTES is a JSON file of lists `annotator`, `left`, `right`, `outcome`; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
from crowdkit.aggregation.pairwise.noisy_bt import NoisyBradleyTerry

REPEATS = 5


def main() -> None:
    """Fit, and print the workers' skills and the least seconds of processor time of a few fits."""
    votes = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    frame = pd.DataFrame({"worker": votes["annotator"], "left": votes["left"], "right": votes["right"]})
    frame["label"] = [
        right if outcome else left
        for left, right, outcome in zip(votes["left"], votes["right"], votes["outcome"], strict=True)
    ]
    seconds = []
    for _ in range(REPEATS):
        before = time.process_time()
        model = NoisyBradleyTerry().fit(frame)
        seconds.append(time.process_time() - before)
    skill = [float(model.skills_[worker]) for worker in range(max(votes["annotator"]) + 1)]
    print(json.dumps({"skill": skill, "seconds": min(seconds)}))


if __name__ == "__main__":
    main()
