"""The report of a run: one page that shows what alignment changed, and the same numbers for machines in `summary.json`.

Reading order: `collect` (what a run left behind), `summary` (the numbers), `words` (what they are called), `examples`
and `page` (what is shown), `figures` and `graph` (drawn as SVG), `render` (the page).
"""
