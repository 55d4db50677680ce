"""The testbed: a small written world with known truth, an exact judge of answers, simulated annotators, and the pilot model.

Reading order: `world` (what is the case), `phrasing` (how it is asked), `answers` (how it is answered), `judge` (what is right),
`documents` (what the pilot reads), `questions` (which prompts go where), `demonstrations`, `annotators`, `pilot`.
"""
