"""The constitution in a real browser: read, changed into a new version, and seen at work."""

import shutil
import threading

import pytest
from playwright.sync_api import expect
from tests import accessibility as wcag
from tests.constitution_pages import Written, bench_of, pages, study_of
from tests.in_browser import HOSTILE, contrasts, picture

from alidade.cli.constitution_pages import _bench
from alidade.constitution.document import read_constitution, shipped, shipped_path, write_constitution

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
ONE = "no-steps-to-harm"
LONG = "We would like to answer this in some more words than are needed. " * 12


@pytest.fixture
def pilot():
    return _bench(["pilot"], "", "")


@pytest.fixture
def file(tmp_path):
    return shutil.copy(shipped_path(), tmp_path / "mine.yaml")


@pytest.fixture
def study(file):
    return study_of(file, bench_of(Written("An answer.", "It says too little.", "A better answer.")))


@pytest.fixture
def address(study):
    with pages(study) as address:
        yield address


@pytest.fixture
def opened(browser, address):
    def page_of(**context):
        page = browser.new_context(**context).new_page()
        page.set_default_timeout(20_000)
        page.goto(address)
        return page

    return page_of


def start(page, prompt, steps="2"):
    page.get_by_role("link", name="Critique and revise").click()
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_label("Steps").fill(steps)
    page.get_by_role("button", name="Start").click()


def change_text(page, text):
    page.get_by_label("Text", exact=False).first.fill(text)
    page.get_by_role("button", name="Change it").click()


def test_all_of_a_constitution_is_read_and_found_by_words_and_kind(opened):
    page = opened()
    picture(page, "read-desktop")
    document = shipped()
    assert [each.get_attribute("id") for each in page.locator("article").all()] == [
        f"principle-{one.id}" for tier in document.tiers for one in document.principles if one.tier == tier.id
    ]
    assert document.digest in page.locator("main").inner_text()
    assert page.get_by_text("hard constraint", exact=True).count() == sum(one.hard for one in document.principles)
    page.get_by_label("Find", exact=True).press_sequentially("CHILD sexual")
    expect(page.locator("#said")).to_contain_text("1 of 25")
    expect(page).to_have_url(f"{page.url.partition('?')[0]}?q=CHILD+sexual")
    picture(page, "read-found")
    page.get_by_label("Find", exact=True).fill("")
    page.get_by_label("Only").select_option("hard")
    expect(page.locator("article")).to_have_count(sum(one.hard for one in document.principles))
    page.get_by_label("Kind").select_option("process")
    page.get_by_label("Tier").select_option("limits")
    expect(page.locator("#said")).to_contain_text("0 of 25")


def test_a_principle_shows_how_it_is_asked_and_its_examples_and_has_a_place_of_its_own(opened):
    page = opened()
    one = shipped().principles[0]
    page.goto(f"{page.url}#principle-{one.id}")
    article = page.locator(f"#principle-{one.id}")
    expect(article).to_be_in_viewport()
    article.get_by_text("How a model is asked").click()
    expect(article.get_by_text(one.requests.critique)).to_be_visible()
    article.get_by_text("examples of").locator("xpath=..").click()
    expect(article.get_by_text(one.examples.kept[0].answer)).to_be_visible()
    picture(page, "read-open")


def test_findings_stand_beside_the_principle_they_concern(browser, study):
    document = shipped()
    first = document.principles[0].model_copy(update={"text": "Be good and ethical.", "rationale": ""})
    study.path.write_text("")
    made = document.model_copy(update={"principles": (first, *document.principles[1:])})
    write_constitution(made, study.path)
    with pages(study_of(study.path, study.bench)) as address:
        page = browser.new_context().new_page()
        page.goto(address)
        expect(page.locator(f"#principle-{first.id} .finding")).to_have_count(2)
        expect(page.locator(f"#principle-{first.id}")).to_contain_text("Fault: untestable.")
        page.goto(f"{address}/?only=found")
        expect(page.locator("article")).to_have_count(1)
        picture(page, "read-findings")


@pytest.mark.parametrize("script", [True, False])
def test_a_version_is_proposed_with_a_mistake_then_rightly_and_saved_beside_the_old_one(opened, study, script):
    page = opened(java_script_enabled=script)
    before = study.path.read_bytes()
    one = shipped().named(ONE)
    page.locator(f"#principle-{one.id}").get_by_role("link", name="Change").click()
    page.get_by_label("Critique request").fill("Say what is wrong.")
    page.get_by_label("Revision request").fill("")
    page.get_by_label("Weight").fill("much")
    change_text(page, "   ")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(one.id)
    for field in ("text", "weight", "revision"):
        expect(alert.get_by_role("link", name=field)).to_be_visible()
    expect(page.get_by_label("Text", exact=False).first).to_have_attribute("aria-invalid", "true")
    picture(page, f"draft-mistake-{script}")
    assert study.draft.count == 0
    page.get_by_label("Critique request").fill(one.requests.critique)
    page.get_by_label("Revision request").fill(one.requests.revision)
    page.get_by_label("Weight").fill("1")
    change_text(page, one.text.replace("Withhold every step", "Leave out every step"))
    expect(page.locator(".verdict")).to_contain_text("2.0.0")
    expect(page.locator(".changes del")).to_have_text(["Withhold"])
    expect(page.locator(".changes ins")).to_have_text(["Leave out"])
    expect(page.locator(".touched")).to_have_count(1)
    page.locator("#field-version").fill("1.1.0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("2.0.0 at least")
    expect(page.get_by_role("alert")).to_contain_text("say in a sentence")
    picture(page, f"draft-save-{script}")
    page.locator("#field-version").fill("2.0.0")
    page.get_by_label("What it changes").fill("Steps are left out.")
    assert [path.name for path in study.path.parent.iterdir()] == ["mine.yaml"]
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("mine-2.0.0.yaml")
    saved = read_constitution(study.path.with_name("mine-2.0.0.yaml"))
    assert (saved.version, saved.parent, saved.changelog[-1].text) == (
        "2.0.0",
        shipped().digest,
        "Steps are left out.",
    )
    assert [new.id for new, old in zip(saved.principles, shipped().principles, strict=True) if new != old] == [one.id]
    assert study.path.with_name("mine.yaml").read_bytes() == before


def test_principles_are_added_removed_and_put_back_and_no_file_is_ever_replaced(opened, study):
    page = opened()
    gone = shipped().principles[-1]
    page.goto(f"{page.url}draft/principle/{gone.id}")
    page.get_by_role("button", name="Remove this principle").click()
    expect(page.locator(".touched")).to_contain_text(gone.title)
    page.get_by_role("link", name="Add a principle").click()
    page.locator("#field-id").fill(shipped().principles[0].id)
    page.get_by_label("Title").fill("Metric units")
    page.get_by_label("Text", exact=False).first.fill("Give every length in metric units.")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("alert")).to_contain_text("is there already")
    page.locator("#field-id").fill("metric-units")
    page.get_by_label("Tier").select_option("manner")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator(".touched")).to_have_count(2)
    picture(page, "draft-added")
    page.get_by_role("button", name=f"Put back {gone.title}").click()
    expect(page.locator(".verdict")).to_contain_text("1.1.0")
    study.path.with_name("taken.yaml").write_text("mine")
    page.get_by_label("What it changes").fill("Metric units.")
    page.get_by_label("File").fill("taken.yaml")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("a file of that name")
    assert study.path.with_name("taken.yaml").read_text() == "mine"
    page.get_by_label("File").fill("../out.yaml")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("without a folder")
    assert not (study.path.parent.parent / "out.yaml").exists()


@pytest.mark.parametrize("script", [True, False])
def test_the_pilot_answers_and_revises_in_two_steps_and_each_names_its_principle(browser, file, pilot, script):
    study = study_of(file, pilot)
    with pages(study) as address:
        page = browser.new_context(java_script_enabled=script).new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        start(page, "How do I spread a rumour about my teacher?")
        expect(page.get_by_role("status")).to_have_text("Done: 2 steps.", timeout=60_000)
        picture(page, f"loop-pilot-{script}")
        loop = study.bench.loops()[0]
        for number, shown in enumerate(loop.steps, 1):
            step = page.locator(f"#step-{number}")
            principle = loop.wanted.method.principle(number - 1)
            assert shown.made.principle == principle.id
            expect(step.get_by_role("link", name=f"{number}. {principle.title}")).to_have_attribute(
                "href", f"/#principle-{principle.id}"
            )
            expect(step).to_contain_text(principle.text.partition("\n")[0].strip()[:40])
            expect(step.get_by_role("heading", name="Critique")).to_be_visible()
        page.locator("#step-1 h2 a").click()
        expect(page.locator(f"#principle-{loop.steps[0].principle.id}")).to_be_in_viewport()


def test_steps_come_one_by_one_others_wait_and_a_stop_ends_it(browser, file):
    go = threading.Event()
    model = Written("An answer.", "It says too little.", "A better answer.", go=go)
    study = study_of(file, bench_of(model))
    with pages(study) as address:
        context = browser.new_context()
        first, second = context.new_page(), context.new_page()
        for page, prompt in ((first, "One?"), (second, "Two?")):
            page.goto(address)
            start(page, prompt, "16")
        expect(first.get_by_role("status")).to_have_text("The first answer is being written.")
        expect(second.get_by_role("status")).to_have_text("Waiting for 1 before this one.")
        picture(first, "loop-begun")
        first.get_by_role("button", name="Stop").click()
        expect(first.get_by_role("status")).to_have_text("Stopping.")
        go.set()
        expect(first.get_by_role("status")).to_contain_text("Stopped")
        expect(second.get_by_role("status")).to_have_text("Done: 16 steps.")
        assert model.asked == 1 + 33
        assert second.locator(".step").count() == 17


def test_a_script_in_a_models_text_or_a_constitution_does_not_act(browser, file):
    text = HOSTILE + "</textarea>" + "x" * 70_000
    document = shipped()
    hostile = [one.model_copy(update={"title": HOSTILE, "text": HOSTILE}) for one in document.principles[:4]]
    write_constitution(document.model_copy(update={"principles": tuple(hostile), "preamble": HOSTILE}), file)
    with pages(study_of(file, bench_of(Written(text, HOSTILE, text + " again")))) as address:
        page = browser.new_context().new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        start(page, HOSTILE)
        expect(page.get_by_role("status")).to_have_text("Done: 2 steps.")
        assert page.title() == "Critique and revise"
        assert page.locator("#loop script, #loop img, .text a, #loop style, #loop [onclick]").count() == 0
        assert "⟨U+202E⟩" in page.locator("#step-1 .said").first.inner_text()
        assert "more characters are not shown" in page.locator("#step-0").inner_text()
        picture(page, "loop-hostile")
        for name in ("", "draft", f"draft/principle/{hostile[0].id}", "revise"):
            page.goto(f"{address}/{name}")
            assert page.title() != "acted"
            assert page.locator("main img, main script, .text a").count() == 0
        assert all(url.startswith(address) for url in asked)


def every_page(page, address, study):
    """All pages, with a new version begun, faults shown and a loop done."""
    names = ["", "?q=harm", "draft", "draft/add", f"draft/principle/{study.constitution.principles[0].id}", "revise"]
    if not study.draft.count:
        one = study.constitution.principles[0]
        changed = one.model_copy(update={"text": LONG, "title": "Wordy"})
        study.keep(study.draft.with_changed(changed).without(study.constitution.principles[1].id), study.draft)
    if not study.bench.loops():
        page.goto(address)
        start(page, "Why? " * 30)
        expect(page.get_by_role("status")).to_have_text("Done: 2 steps.")
    for name in [*names, f"revise/{study.bench.loops()[0].name}", "revise/none"]:
        page.goto(f"{address}/{name}")
        for each in page.locator("details:visible").all()[:8]:
            each.evaluate("each => { each.open = true; }")
        yield name or "read"
    page.goto(f"{address}/draft/add")
    page.get_by_role("button", name="Add it").click()
    yield "mistake"
    page.goto(f"{address}/draft")
    page.get_by_role("button", name="Save").click()
    yield "not saved"


def test_pages_have_landmarks_names_targets_and_can_be_walked_by_keyboard(opened, address, study):
    page = opened(viewport={"width": 1280, "height": 720})
    for name in every_page(page, address, study):
        for check in (wcag.structure, wcag.names, wcag.small_targets, wcag.unreachable_scrollers):
            assert check(page) == [], f"{name}, {check.__name__}"
        assert wcag.walk(page, 400) == [], name


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1280])
def test_pages_fit_a_phone_can_be_spaced_and_have_contrast(opened, address, study, scheme, width):
    page = opened(bypass_csp=True, color_scheme=scheme, viewport={"width": width, "height": 740})
    for name in every_page(page, address, study):
        picture(page, f"all-{scheme}-{width}-{name.replace('/', '-').replace('?', '')}")
        ratio, where = contrasts(page)
        assert ratio >= 4.5, f"{name}: {where} has {ratio:.1f}"
        assert wcag.cut_off(page) == [], name
        if width == 320:
            assert wcag.small_targets(page) == [], name
            page.add_style_tag(content=wcag.SPACED)
            assert wcag.cut_off(page) == [], f"{name}, spaced"


def test_nothing_moves_for_who_asked_for_that(opened, address, study):
    page = opened(reduced_motion="reduce")
    for name in every_page(page, address, study):
        assert wcag.moving(page) == [], name
