"""What of WCAG 2.2 AA can be checked by a program, in a page that a real browser has laid out.

Each function names what is wrong, element by element; an empty list is a pass. Contrast is checked where the pages are.
"""

from __future__ import annotations

from playwright.sync_api import Page

SMALLEST = 24  # CSS pixels a side, success criterion 2.5.8
SPACED = """* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
p { margin-bottom: 2em !important; }"""  # criterion 1.4.12

_NAME = """const named = (each) => each.tagName + (each.id ? "#" + each.id : "") + " " + each.textContent.trim().slice(0, 30);
const shown = (query) => [...document.querySelectorAll(query)].filter((each) => each.checkVisibility());"""


def structure(page: Page) -> list[str]:
    """Language, title, landmarks, heading order, unique ids and references that lead somewhere (1.3.1, 2.4.1, 2.4.2, 3.1.1)."""
    return page.evaluate(
        f"""() => {{ {_NAME}
          const wrong = [];
          if (!document.documentElement.lang) wrong.push("no lang");
          if (!document.title.trim()) wrong.push("no title");
          if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
          for (const nav of document.querySelectorAll("nav")) if (!nav.ariaLabel) wrong.push("a nav without a name");
          const skip = document.querySelector("a");
          if (!document.getElementById((skip.getAttribute("href") || "").slice(1))) wrong.push("the first link skips nowhere");
          for (const each of document.body.children)
            if (!each.matches("header, main, footer, dialog, script, .skip")) wrong.push("outside landmarks: " + named(each));
          const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
            .filter((each) => !each.closest(".text, dialog")).map((each) => Number(each.tagName[1]));
          if (levels.filter((level) => level === 1).length !== 1) wrong.push("not one h1: " + levels);
          if (levels[0] !== 1) wrong.push("the first heading is no h1: " + levels);
          levels.forEach((level, at) => {{ if (at && level > levels[at - 1] + 1) wrong.push("a heading level left out: " + levels); }});
          const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
          for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("twice: " + id);
          for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
            for (const each of document.querySelectorAll(`[${{name}}]`))
              for (const id of each.getAttribute(name).split(" "))
                if (!ids.includes(id)) wrong.push(`${{name}} leads nowhere: ${{id}}`);
          return wrong;
        }}"""
    )


def names(page: Page) -> list[str]:
    """Fields have labels, buttons and links have words, groups of radios a legend, header cells a text (1.3.1, 3.3.2, 4.1.2)."""
    return page.evaluate(
        f"""() => {{ {_NAME}
          const wrong = [];
          for (const each of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
            if (![...each.labels].some((one) => one.textContent.trim()) && !each.ariaLabel) wrong.push("no label: " + each.outerHTML);
          for (const each of document.querySelectorAll("button, a, summary"))
            if (!each.textContent.trim() && !each.ariaLabel) wrong.push("no name: " + each.outerHTML);
          for (const each of document.querySelectorAll("input[type=radio]"))
            if (!each.closest("fieldset")?.querySelector("legend")) wrong.push("no legend: " + each.outerHTML);
          for (const each of document.querySelectorAll("th"))
            if (!each.textContent.trim() || !each.scope) wrong.push("no header cell: " + each.outerHTML);
          for (const each of document.querySelectorAll("div[aria-label], div[aria-labelledby], span[aria-label]"))
            if (!each.getAttribute("role")) wrong.push("a name without a role: " + named(each));
          for (const each of document.querySelectorAll(".note, .problem, #saved"))
            if (!["status", "alert"].includes(each.getAttribute("role"))) wrong.push("not announced: " + named(each));
          return wrong;
        }}"""
    )


def small_targets(page: Page) -> list[str]:
    """What is clicked and smaller than 24 by 24; links within a sentence may be, and a field is as large as its label (2.5.8)."""
    return page.evaluate(
        f"""() => {{ {_NAME}
          return shown("button, a, select, textarea, input:not([type=hidden]), summary")
            .filter((each) => !each.closest(".text, .skip") && !(each.tagName === "A" && each.parentElement.tagName === "P"
              && each.parentElement.textContent.trim() !== each.textContent.trim()))
            .map((each) => [each, (each.matches("[type=radio], [type=checkbox]") ? each.closest("label") : each).getBoundingClientRect()])
            .filter(([, box]) => Math.min(box.width, box.height) < {SMALLEST} - .01)
            .map(([each, box]) => `${{named(each)}} ${{box.width.toFixed(1)}} by ${{box.height.toFixed(1)}}`);
        }}"""
    )


def unreachable_scrollers(page: Page) -> list[str]:
    """What scrolls and cannot be scrolled by keyboard in every browser (2.1.1)."""
    return page.evaluate(
        f"""() => {{ {_NAME}
          return shown("main *").filter((each) => {{
            const style = getComputedStyle(each);
            const scrolls = (/auto|scroll/.test(style.overflowY) && each.scrollHeight > each.clientHeight + 1)
              || (/auto|scroll/.test(style.overflowX) && each.scrollWidth > each.clientWidth + 1);
            return scrolls && each.tabIndex < 0 && !each.closest(".text[tabindex]") && each.tagName !== "TEXTAREA";
          }}).map(named);
        }}"""
    )


def moving(page: Page) -> list[str]:
    """What moves though the person asked that nothing does (2.3.3, and good manners)."""
    return page.evaluate(
        f"""() => {{ {_NAME}
          return [...document.querySelectorAll("*")].filter((each) => {{
            const style = getComputedStyle(each);
            return style.animationName !== "none" || style.transitionDuration.split(",").some((one) => parseFloat(one) > 0);
          }}).map(named);
        }}"""
    )


def cut_off(page: Page) -> list[str]:
    """What needs two directions of scrolling, or is cut off, as the page stands: narrow, zoomed or spaced (1.4.4, 1.4.10, 1.4.12)."""
    return page.evaluate(
        f"""() => {{ {_NAME}
          const wrong = shown("main *, header *").filter((each) => getComputedStyle(each).overflow === "hidden"
            && !each.matches(".hidden") && !each.title && (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1))
            .map((each) => "cut: " + named(each));
          const over = document.documentElement.scrollWidth - innerWidth;
          return over > 0 ? [`wider than the window by ${{over}}`, ...wrong] : wrong;
        }}"""
    )


def walk(page: Page, most: int = 120) -> list[str]:
    """Tab through the whole page: every stop is seen, marked and not covered, and the way ends (2.1.2, 2.4.3, 2.4.7, 2.4.11)."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    wrong: list[str] = []
    stops = page.evaluate(
        f"""() => {{ {_NAME} const radios = new Set();
          return shown("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']").filter((each) => {{
            if (each.type !== "radio") return true;
            const first = !radios.has(each.name); radios.add(each.name); return first; }}).length; }}"""
    )
    for stop in range(most):
        page.keyboard.press("Tab")
        found = page.evaluate(
            f"""() => {{ {_NAME}
              const each = document.activeElement;
              if (each === document.body || each.dataset.walked) return null;
              each.dataset.walked = "yes";
              const style = getComputedStyle(each), box = each.getBoundingClientRect();
              const seen = document.elementFromPoint(box.x + Math.min(box.width / 2, innerWidth - box.x - 1), box.y + Math.min(box.height / 2, 12));
              const wrong = [];
              if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push("focus not visible: " + named(each));
              if (!seen || !(each.contains(seen) || seen.contains(each) || each.labels && [...each.labels].some((one) => one.contains(seen))))
                wrong.push("focus covered: " + named(each));
              return wrong;
            }}"""
        )
        if found is None:
            return wrong if stop >= stops else [*wrong, f"{stop} stops of {stops}"]
        wrong += found
    return [*wrong, f"a trap: no end after {most} stops"]
