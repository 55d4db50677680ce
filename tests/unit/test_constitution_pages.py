"""The constitution's pages without a browser: what is refused, what is written, what is drawn, and the command."""

import http.client
import shutil
import socket
import threading
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.constitution_pages import Written, bench_of, pages, study_of

from alidade.cli.constitution_pages import _bench, places
from alidade.cli.main import main
from alidade.constitution.document import NAMES, read_constitution, shipped, shipped_path, write_constitution
from alidade.constitution.principles import Example, Examples
from alidade.constitution.revise import Reviser, RevisionSettings
from alidade.constitution.unfolding import Method, asked, unfold
from alidade.constitution.wording import PUBLISHED
from alidade.errors import Conflict, NotFound, UsageError
from alidade.studio.access import HEADERS
from alidade.studio.bench import Asked, Bench, Speaker
from alidade.studio.drafting import Draft, faults_of_version, principle_of, sent_of
from alidade.studio.text import MOST_PAIRINGS, _pairings, changes
from alidade.studio.text import visible as marked

SETTINGS = RevisionSettings(steps=5, temperature=0.7, max_new_tokens=20)
METHOD = Method(shipped(), PUBLISHED, SETTINGS, 3)


@pytest.fixture
def study(tmp_path):
    return study_of(shutil.copy(shipped_path(), tmp_path / "mine.yaml"), bench_of(Written("one", "two", "three")))


def send(address, method, path, headers=None, **form):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=20)
    body = urllib.parse.urlencode(form) if method == "POST" else None
    usual = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
    connection.request(method, path, body, usual | (headers or {}))
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    return answer.status, said, answer.headers


def test_steps_that_are_watched_are_those_that_the_reviser_makes():
    texts = ("bad: it is short", "a longer answer", "worse", "", "still", "the last")
    whole = Reviser(Written(*texts), shipped(), PUBLISHED, SETTINGS).revise([asked("Why?", "So.")], 3)[0]
    model, heard = Written(*texts), []
    steps = tuple(unfold(asked("Why?", "So."), model, METHOD, heard.append))
    assert steps == whole.steps
    assert [step.principle for step in steps] == [METHOD.principle(number).id for number in range(5)]
    assert model.asked == len(heard) == 10  # what was said once is not asked for again
    assert {step.fault for step in steps} == {"", "empty"}


def test_a_constitution_that_cannot_be_drawn_from_is_refused_in_words():
    mute = shipped().model_copy(update={"principles": (shipped().principles[0].model_copy(update={"weight": 0}),)})
    with pytest.raises(UsageError, match="can be drawn"):
        Method(mute, PUBLISHED, SETTINGS, 0)


def test_every_page_carries_the_policy_of_the_studio(study):
    with pages(study) as address:
        for path in ("/", "/draft", "/draft/add", "/revise", "/nothing", "/static/study.css"):
            _, _, headers = send(address, "GET", path)
            for name, value in HEADERS.items():
                assert headers[name] == value


@pytest.mark.parametrize(
    ("headers", "key", "status"),
    [
        ({}, "right", 303),
        ({}, "", 403),
        ({}, "wrong", 403),
        ({"Origin": "http://evil.example"}, "right", 403),
        ({"Sec-Fetch-Site": "cross-site"}, "right", 403),
        ({"Host": "evil.example"}, "right", 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, "right", 403),
        ({"Host": ""}, "right", 403),
    ],
)
def test_only_forms_of_these_pages_sent_to_this_machine_change_anything(study, headers, key, status):
    with pages(study) as address:
        name = shipped().principles[0].id
        form = {"form_key": study.form_key if key == "right" else key, "id": name}
        assert send(address, "POST", "/draft/remove", headers, **form)[0] == status
        assert study.draft.count == (1 if status == 303 else 0)
        for path in ("/draft/save", "/draft/restore", "/draft/add", f"/draft/principle/{name}", "/revise"):
            assert send(address, "POST", path, headers, form_key="wrong", id=name, prompt="Why?")[0] == 403
        assert study.bench.loops() == []


def test_a_page_asked_for_by_another_name_is_not_shown(study):
    with pages(study) as address:
        for host in ("evil.example", "127.0.0.1.evil.example", "[::1", ""):
            status, said, _ = send(address, "GET", "/", {"Host": host})
            assert (status, study.form_key in said) == (403, False)
        for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
            assert send(address, "GET", "/", {"Host": host})[0] == 200


def test_a_form_opened_before_a_change_in_another_window_changes_nothing(study):
    one = shipped().principles[0]
    with pages(study) as address:
        form = sent_of(one) | {"form_key": study.form_key, "since": one.digest, "title": "First"}
        assert send(address, "POST", f"/draft/principle/{one.id}", **form)[0] == 303
        assert send(address, "POST", f"/draft/principle/{one.id}", **form | {"title": "Second"})[0] == 409
    assert study.draft.named(one.id).title == "First"


def test_saving_again_goes_on_from_the_new_version_and_a_file_changed_meanwhile_is_not_built_upon(study):
    one = shipped().principles[0]
    for version in ("1.0.1", "1.0.2"):
        study.keep(study.draft.with_changed(one.model_copy(update={"title": version})), study.draft)
        study.save(version, "A title.", study.file_name(version))
    assert sorted(path.name for path in study.path.parent.iterdir()) == [
        "mine-1.0.1.yaml",
        "mine-1.0.2.yaml",
        "mine.yaml",
    ]
    first, second = (read_constitution(study.path.with_name(f"mine-1.0.{number}.yaml")) for number in (1, 2))
    assert (first.parent, second.parent) == (shipped().digest, first.digest)
    assert [change.version for change in second.changelog] == ["1.0.0", "1.0.1", "1.0.2"]
    assert not [one for one in study.findings if one.severity == "fault"]
    write_constitution(second.model_copy(update={"title": "Other"}), study.path)
    study.keep(study.draft.without(one.id), study.draft)
    with pytest.raises(Conflict, match="changed since"):
        study.save("2.0.0", "One less.", "mine-2.0.0.yaml")
    assert not study.path.with_name("mine-2.0.0.yaml").exists()


def test_without_a_folder_nothing_can_be_saved(study):
    study.folder = None
    study.keep(study.draft.without(shipped().principles[0].id), study.draft)
    with pytest.raises(UsageError, match="--out|folder"):
        study.save("2.0.0", "One less.", "x.yaml")


@pytest.mark.parametrize("name", ["../x.yaml", "/x.yaml", "a/b.yaml", ".yaml", "x.txt", "x.yaml\n", "x\u0000.yaml", ""])
def test_a_file_name_with_a_folder_or_another_end_is_refused(study, name):
    study.keep(study.draft.without(shipped().principles[0].id), study.draft)
    with pytest.raises(UsageError, match="without a folder"):
        study.save("2.0.0", "One less.", name)


@pytest.mark.parametrize("one", shipped().principles, ids=lambda one: one.id)
def test_a_form_sent_as_it_came_is_no_change_whatever_a_browser_does_to_its_lines(one):
    sent = {name: text.replace("\n", "\r\n") for name, text in sent_of(one).items()}
    assert principle_of(sent, one) == (one, [])


hostile = st.text(st.sampled_from("a-\r\n\t \u202e\u200b<&\"'{é\u0085"), min_size=1, max_size=12).filter(str.strip)


@settings(deadline=None)  # the first example also builds the app
@given(hostile, hostile, st.floats(0, 1e9), st.lists(st.tuples(hostile, hostile, st.text(max_size=3)), max_size=3))
def test_any_principle_goes_through_its_form_unchanged(title, text, weight, examples):
    given_ = tuple(Example(prompt=prompt, answer=answer, why=why) for prompt, answer, why in examples)
    one = (
        shipped()
        .principles[0]
        .model_copy(
            update={
                "title": title,
                "text": text,
                "weight": weight,
                "examples": Examples(kept=given_, broken=given_[:1]),
            }
        )
    )
    assert principle_of(sent_of(one), one) == (one, [])


def test_each_fault_of_a_form_names_its_field():
    sent = sent_of(None) | {
        "id": "Be Honest",
        "text": " ",
        "hazards": "S1, S99",
        "weight": "-1",
        "critique": "Say what is wrong.",
        "kept-0-answer": "An answer to nothing.",
    }
    made, faults = principle_of(sent, None)
    assert made is None
    assert {one.field for one in faults} == {"id", "title", "text", "hazards", "weight", "revision", "kept-0-prompt"}
    assert all(one.what for one in faults)
    assert [one.field for one in faults_of_version("2.0.0", "1.9.9", "")] == ["version", "sentence"]
    assert [one.field for one in faults_of_version("2.0.0", "2.0", "Words.")] == ["version"]
    assert faults_of_version("2.0.0", "10.0.0", "Words.") == []


def test_a_draft_is_put_back_step_by_step_to_what_it_was():
    base = shipped()
    first, second = base.principles[:2]
    new = first.model_copy(update={"id": "new", "title": "New"})
    draft = Draft(base).with_changed(first.model_copy(update={"text": "Other."})).without(second.id).with_added(new)
    assert (draft.count, draft.difference().needed) == (3, "major")
    assert [one.id for one in draft.principles[:4]] == [first.id, base.principles[2].id, "new", base.principles[3].id]
    for name in (first.id, second.id, "new"):
        draft = draft.restored(name)
    assert draft == Draft(base)
    assert Draft(base).with_changed(first) == Draft(base)
    with pytest.raises(NotFound):
        Draft(base).without("nobody")
    alone = Draft(base.model_copy(update={"principles": (first,), "tiers": base.tiers}))
    with pytest.raises(Conflict, match="at least one"):
        alone.without(first.id)
    with pytest.raises(Conflict, match="at least one"):
        alone.with_added(new).without(first.id).restored("new")


@given(
    st.text(st.sampled_from("ab \n<>&\u202e\u200b'"), max_size=40),
    st.text(st.sampled_from("ab \n<\u202e"), max_size=40),
)
def test_a_change_is_escaped_and_holds_both_texts(before, after):
    import html
    import re

    told = str(changes(before, after))
    assert set(re.findall(r"<[^>]*>", told)) <= {"<del>", "</del>", "<ins>", "</ins>"}
    without = re.sub(r"<del>.*?</del>", "", told, flags=re.DOTALL)
    kept = html.unescape(re.sub(r"</?ins>", "", without))
    assert "".join(kept.split()) == "".join(marked(after).split())


def test_what_is_too_long_to_compare_is_shown_without_comparing():
    long = "a " * 20_000
    assert _pairings(long, long) > MOST_PAIRINGS
    assert "Too long to compare" in changes(long, long + "b")


def test_the_pilot_is_stopped_in_the_middle_of_a_text():
    bench = _bench(["pilot"], "", "")
    method = Method(shipped(), bench.speakers["pilot"].wording, SETTINGS.model_copy(update={"max_new_tokens": 900}), 0)
    counted = []

    def stop_at_third(*_):
        counted.append(1)
        if len(counted) == 3:
            bench.stop(bench.loops()[0])

    hook = bench.speakers["pilot"].chat.module.register_forward_pre_hook(stop_at_third)
    loop = bench.start(Asked("Why?", "", "pilot", "", method))
    while not loop.is_over:
        threading.Event().wait(0.02)
    hook.remove()
    assert (loop.state, loop.initial, len(counted)) == ("stopped", None, 3)
    bench.close()


def test_a_model_that_fails_is_told_of_in_words_and_the_next_one_is_served():
    class Failing(Written):
        def reply(self, chats, how):
            raise UsageError("the model fell over")

    wrong, right = Failing("x"), Written("one", "two", "three")
    bench = Bench({"a": Speaker(wrong, wrong, PUBLISHED), "b": Speaker(right, right, PUBLISHED)}, ["a", "b"], [""])
    first, second = (bench.start(Asked("Why?", "", name, "", METHOD)) for name in "ab")
    while not second.is_over:
        threading.Event().wait(0.02)
    assert (first.state, first.fault, second.state) == ("failed", "the model fell over", "done")
    bench.close()


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def alidade(*arguments):
        monkeypatch.setattr("sys.argv", ["alidade", *arguments])
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code
        return code, *capsys.readouterr()

    return alidade


def test_the_command_names_a_mistake_without_a_traceback(call):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, problem in (
            (["nowhere.yaml"], "nowhere.yaml"),
            (["--port", port], "cannot listen"),
            (["--port", "0", "--wording", "poetry"], "unknown wording `poetry`"),
            (["--port", "0", "--model", "nobody"], "no run yet"),
        ):
            code, out, err = call("constitution", "open", *arguments)
            assert (code, out) == (2, "")
            assert problem in err
            assert "Traceback" not in err


@pytest.mark.parametrize("name", NAMES)
def test_a_constitution_that_comes_with_alidade_is_never_written_beside(name, tmp_path):
    assert places(name, None) == (shipped_path(name), None)
    assert places(name, tmp_path) == (shipped_path(name), tmp_path)


def test_new_versions_of_a_file_go_beside_it_or_where_it_is_said(tmp_path):
    mine = tmp_path / "mine.yaml"
    assert places(str(mine), None) == (mine, tmp_path)
    assert places(str(mine), tmp_path / "new") == (mine, tmp_path / "new")
