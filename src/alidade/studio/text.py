"""Models' text is hostile input: Markdown becomes HTML without links, images or markup of its own, and what is invisible is spelt out."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import nh3
from markupsafe import Markup, escape

from alidade.constitution.difference import word_difference
from alidade.report.words import visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

LONGEST = 60_000  # characters shown; beyond that a browser, not a person, has the trouble
MOST_PAIRINGS = 2_000_000  # of words that a change is looked for in: about a second's work
LONGEST_DIFF = 3_000  # words on either side: comparing takes the square of it
ALLOWED = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_WORDS = re.compile(r"\s+|[^\s]+")


@lru_cache(maxsize=4096)
def rendered(text: str) -> Markup:
    """An answer as HTML that cannot act: no script, link, image, style or attribute."""
    return Markup(nh3.clean(_markdown().render(_shown(text)), tags=ALLOWED, attributes={}))


def plain(text: str) -> Markup:
    """A text as it was written, with what is invisible spelt out."""
    return escape(_shown(text))


def differences(left: str, right: str) -> tuple[Markup, Markup]:
    """Both texts, with the words that the other one does not have marked; unmarked where they are too long to compare."""
    words = [_WORDS.findall(_shown(text)) for text in (left, right)]
    if max(map(len, words)) > 2 * LONGEST_DIFF:
        return plain(left), plain(right)
    blocks = difflib.SequenceMatcher(None, *words, autojunk=False).get_opcodes()
    before = [_marked(words[0][start:end], "" if tag == "equal" else "del") for tag, start, end, _, _ in blocks]
    after = [_marked(words[1][start:end], "" if tag == "equal" else "ins") for tag, _, _, start, end in blocks]
    return Markup("").join(before), Markup("").join(after)


def changes(before: str, after: str) -> Markup:
    """One text become the other, word by word; the new one alone, with a remark, where they are too long to compare."""
    old, new = _shown(before), _shown(after)
    if _pairings(old, new) > MOST_PAIRINGS:
        return Markup("<em>Too long to compare word by word. The new text:</em>\n\n") + escape(new)
    tags = {"same": "", "gone": "del", "new": "ins"}
    return Markup("").join(_marked([piece.text], tags[piece.sign]) for piece in word_difference(old, new))


def _pairings(left: str, right: str) -> int:
    """How many pairs of equal words, signs and spaces a comparison has to look at, at the least."""
    counts = [Counter(re.findall(r"\s+|\w+|.", text)) for text in (left, right)]
    return sum(count * counts[1][word] for word, count in counts[0].items())


@cache
def _markdown() -> MarkdownIt:
    """A link or an image stays the text it was written as: a labeler judges where it points, and nothing is fetched."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return made.disable(["link", "image", "autolink", "reference"])


def _marked(words: Sequence[str], tag: str) -> Markup:
    text = "".join(words)
    if not text.strip() or not tag:
        return escape(text)
    return Markup(f"<{tag}>{{}}</{tag}>").format(text)


def _shown(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\n[{len(text) - LONGEST:,} more characters are not shown]"
    return visible(text)
