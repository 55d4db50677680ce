"""The web app in which people judge models' answers, and those who lead them see how it goes; and one person's pages of a constitution.

Reading order: `app` (what is put together), `guard` (what holds for every request), `access` (who is asking, and may they), `labelling`,
`talking`, `leading` and `entrance` (pages), `api` (the same for programs), `text` (hostile text made harmless), `pages` (templates).
Of a constitution: `solo` (what is put together), `study` (what is open), `reading`, `proposing` over `drafting` (a new version), and
`exploring` over `bench` (answers being criticised and revised).
"""
