"""The annotator model on planted truth, beside crowd-kit's NoisyBradleyTerry.

Reading order: `simulation` (votes whose voters are known), `peer` (one fit of the peer, in its own virtual environment), `__main__`
(what is measured, and the file it ends in).
"""
