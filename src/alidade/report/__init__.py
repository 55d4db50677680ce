"""The report of a run: one page that shows what alignment changed, and the same numbers for machines in `summary.json`.

Reading order: `columns` (the evaluated models, and which was trained from which), `ways` and `changes` (how they are
compared), `collect` (what a run left behind), `summary` (the numbers), `words` (what they are called), `examples`,
`page` and `frontier` (what is shown), `figures` and `graph` (drawn as SVG), `render` (the page).
"""
