"""The web app in which people judge models' answers, and those who lead them see how it goes.

Reading order: `app` (what is put together), `access` (who is asking, and may they), `labelling`, `talking`, `leading` and
`entrance` (pages), `api` (the same for programs), `text` (hostile text made harmless), `pages` (templates).
"""
