"""Training: a stream of batches, an objective, and one short loop that runs them all.

Reading order: `fit` (the loop), `optimise` and `checkpoint` (what it drives), `packing` and `lm` (how rows meet a
network), `losses` (the mathematics), then one module per objective in `objectives`.
"""
