"""Training and sampling speed and memory, against TRL.

Reading order: `workload` (the models and rows both sides get), `tasks` (what is measured and with which settings), `ours` and
`peer` (one measurement each, in their own processes), `gradients` (do both compute the same?), `results` (medians and ratios),
`__main__` (the order of runs, and the file they end in). `peer` runs in the peer's virtual environment and imports nothing of ours
but `process`, which needs the standard library only.
"""
