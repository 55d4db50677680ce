"""The annotator model on planted truth, beside crowd-kit's NoisyBradleyTerry, on real people's votes, and as a teacher of reward models.

Reading order: `simulation` (votes whose voters are known), `peer` (one fit of the peer, in its own virtual environment), `calibration`,
`people` (held-out votes of real people), `soft` (what the labels are worth to a reward model), `whole` (the same, all weights trained),
`__main__` (what is measured, and the file it ends in).
"""
