"""The page: what is in it, what is escaped, which samples it shows; and in a real browser, where one is installed."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from handbench.report.page.charts import latency_chart, pck_chart
from handbench.report.page.samples import ranked
from handbench.report.pck_curves import Curve
from handbench.report.spec import table_names
from handbench.store.hands_file import HandsFile
from handbench.store.hands_writer import write_hands
from handbench.store.records import write_json
from tests.conftest import hands_in_view
from tests.report.test_speed_figures import MACHINE, timing

NAME = "</script><script>window.broken = 1</script> & <b>two</b>"
PROTOCOL = "handsynth-video-small"
COST = {"parameters": 10, "training_only": 0, "macs": 5}


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """Two tracks of HandSynth-Video, prepared once."""
    from handbench import places
    from handbench.cli.prep import prep

    home = tmp_path_factory.mktemp("truth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HANDBENCH_HOME", str(home))
        prep(PROTOCOL, [], split="test", limit=64)
        return places.prepared(PROTOCOL, "test")


@pytest.fixture
def home_with_rows(home, truth):
    """One row with a mesh, one of joints alone under a name that would break a page; and a timing of the first."""
    (home / "data").mkdir(parents=True)
    shutil.copy(truth, home / "data")
    with HandsFile(truth) as file:
        hands = file.read()
        meta = {"dataset": PROTOCOL, "split": "test", "given": [], "truth_digest": file.digest()}
    rng = np.random.default_rng(0)
    worse = np.linspace(0.001, 0.03, 64)[:, None, None]
    # a pair of tags in a name that a chart prints beside its point
    folder = home / f"predictions/{PROTOCOL}"
    folder.mkdir(parents=True)
    rows = (
        ("dahyf-full-0", {"method": "dahyf", "variant": "full", "size": "full", "recipe": "r", "seed": 0}, True),
        ("theirs", {"method": NAME}, False),
    )
    for row, about, mesh in rows:
        joints = hands.joints + rng.normal(0, 1, hands.joints.shape) * worse
        vertices = hands.vertices + rng.normal(0, 1, hands.vertices.shape) * worse if mesh else None
        own = hands.replace(joints=joints, vertices=vertices, confidence=None, meta={**meta, **about})
        write_hands(folder / f"{row}.h5", own)
    write_json(home / "speed/speed-dahyf.json", timing(cost=COST))
    return home


def test_the_page_is_one_file_with_every_table_and_row(handbench, home_with_rows, tmp_path):
    out = tmp_path / "page.html"
    ran = handbench("report", "--out", out)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(out)
    assert "share it as their licences allow" in ran.err
    text = out.read_text()
    # HandSynth's has no published row, and nothing was measured on it
    for name in set(table_names()) - {"11"}:
        assert f'id="table-{name}"' in text
    # nothing is fetched from anywhere
    own = text.replace(plotly_source(), "")
    assert not re.search(r"(src|href)=\"(?!data:|#)", own)
    assert "@import" not in own
    assert "url(" not in own
    # three ranks of three of two rows, each over its image
    assert own.count('class="sample"') == 18
    assert own.count("data:image/jpeg;base64,") == 18
    assert "<b>worst</b>" in own
    assert "Error against speed, measured" in own
    assert "Mean joint error by occlusion" in own
    # the one mesh topology is there once
    (meshes,) = re.findall(r'id="meshes">(.*?)</script>', own)
    assert np.array(json.loads(meshes)["synthetic"]).shape == (1538, 3)


def test_what_comes_from_a_file_is_escaped(handbench, home_with_rows, tmp_path):
    out = tmp_path / "page.html"
    assert handbench("report", "--out", out).code == 0
    text = out.read_text()
    assert NAME not in text
    assert "<script>window.broken" not in text
    assert "&lt;/script&gt;&lt;script&gt;window.broken = 1" in text
    # a chart reads tags in names, and what a chart reads is a script of the page
    for chart in re.findall(r'<script type="application/json">(.*?)</script>', text):
        for trace in json.loads(chart).get("data", []):
            assert "<" not in trace.get("name", "")
            assert not any("<" in text for text in trace.get("text", []))


def test_samples_can_be_left_out_and_then_no_image_is_in_it(handbench, home_with_rows, tmp_path):
    out = tmp_path / "page.html"
    ran = handbench("report", "--out", out, "--samples", "0")
    assert ran.code == 0, ran.err
    text = out.read_text()
    assert "data:image" not in text.replace(plotly_source(), "")
    assert "samples were left out" in text
    assert "licences" not in ran.err


def test_without_anything_measured_it_has_the_published_tables_and_says_so(handbench, home):
    ran = handbench("report")
    assert ran.code == 0, ran.err
    assert "Nothing was measured yet" in ran.err
    text = (home / "report.html").read_text()
    assert "Nothing was measured yet" in text
    assert "Nothing was timed yet" in text
    assert "MeshGraphormer (ICCV 2021)" in text


def test_what_cannot_be_shown_is_said_and_the_rest_is_shown(handbench, home_with_rows, tmp_path):
    """Damaged predictions, a truth that is not there, a stray and a damaged result, another machine's timing."""
    predicted, scored = (home_with_rows / kind / PROTOCOL for kind in ("predictions", "results"))
    assert handbench("eval", "--protocol", PROTOCOL).code == 0
    (predicted / "broken.h5").write_text("nothing")
    shutil.copy(scored / "theirs.h5", scored / "broken.h5")
    shutil.copy(scored / "theirs.h5", scored / "stray.h5")
    (scored / "junk.h5").write_text("nothing")
    (home_with_rows / "predictions/freihand").mkdir()
    shutil.copy(predicted / "theirs.h5", home_with_rows / "predictions/freihand")
    elsewhere = timing("deformer", cost=COST, machine=MACHINE | {"device": "another"}, made={"time": "2026-01-01"})
    write_json(home_with_rows / "speed/speed-deformer.json", elsewhere)
    out = tmp_path / "page.html"
    ran = handbench("report", "--out", out)
    assert ran.code == 0, ran.err
    assert "broken.h5 is left out" in ran.err
    assert "Left out, freihand" in ran.err
    text = out.read_text()
    assert "Left out. freihand:" in text
    assert "handbench prep freihand" in text
    assert "results without their predictions, junk, stray." in text
    assert "Not drawn: 1 timings of another machine" in text
    assert text.count("<article>") == 2


def test_a_damaged_truth_leaves_its_protocol_out_of_page_and_table(handbench, home_with_rows, tmp_path):
    truth = home_with_rows / f"data/{PROTOCOL}-test.h5"
    truth.write_bytes(truth.read_bytes()[:5000])
    ran = handbench("report", "--out", tmp_path / "page.html")
    assert ran.code == 0, ran.err
    assert f"Left out. {PROTOCOL}: " in (tmp_path / "page.html").read_text()
    (home_with_rows / "predictions/freihand").mkdir()
    shutil.copy(home_with_rows / f"predictions/{PROTOCOL}/theirs.h5", home_with_rows / "predictions/freihand")
    ran = handbench("eval", "--table", "1")
    assert ran.code == 0, ran.err
    assert "Left out, freihand" in ran.err
    assert "MeshGraphormer" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "page.pdf"), "does not end in .html"),
        (("--samples", "1", "pck", "a"), "are of the page"),
        (("--measured", "nowhere"), "There is no folder nowhere"),
        (("pkc",), "pkc"),
    ],
)
def test_what_is_typed_wrong(handbench, words, said):
    ran = handbench("report", *words)
    assert ran.code != 0
    assert said in ran.err


def test_ranks_share_no_sample_and_leave_out_what_has_no_error():
    errors = np.array([5.0, np.nan, 1.0, 9.0, 3.0, 7.0, np.nan, 2.0])
    assert ranked(errors, None, 1) == {"worst": [3], "median": [4], "best": [2]}
    found = ranked(errors, None, 5)
    chosen = [i for rank in found.values() for i in rank]
    assert sorted(chosen) == [0, 2, 3, 4, 5, 7]
    assert found["worst"] == [3, 5]
    assert found["best"] == [2, 7]
    assert ranked(np.array([np.nan]), None, 3) == {"worst": [], "median": [], "best": []}
    assert ranked(np.array([4.0]), None, 3)["worst"] == [0]


def test_few_samples_have_each_rank_while_they_can():
    assert ranked(np.arange(4.0), None, 3) == {"worst": [3], "median": [1], "best": [0]}
    assert ranked(np.arange(2.0), None, 3) == {"worst": [1], "median": [], "best": [0]}


def test_a_rank_takes_one_sample_of_each_capture_within_its_foremost_tenth():
    rng = np.random.default_rng(0)
    errors = np.sort(rng.uniform(0, 10, 300))
    captures = np.array(["a", "b", "c"])[np.arange(300) % 3]
    found = ranked(errors, captures, 3)
    assert {str(captures[i]) for i in found["worst"]} == {"a", "b", "c"}
    assert found["worst"] == [299, 298, 297]
    # the extremes are all of one capture: rank goes before variety
    bad = np.concatenate([np.arange(50.0, 60.0), np.arange(5.0, 6.0, 0.1)])
    found = ranked(bad, np.repeat(["a", "b"], 10), 3)
    assert bad[found["worst"]].tolist() == [59, 58, 57]
    assert bad[found["best"]].tolist() == pytest.approx([5, 5.1, 5.2])
    # neighbours of one capture give way to another's within the tenth
    errors, captures = np.arange(100.0), np.repeat("a", 100)
    captures[[95, 92]] = ["b", "c"]
    assert ranked(errors, captures, 3)["worst"] == [99, 95, 92]


@pytest.mark.parametrize(
    ("protocol", "alignment"),
    [
        ("freihand", "root"),
        ("freihand", "procrustes-official"),
        ("stb", "root-scale"),
        ("rhd-palm", "root-scale"),
        ("dexter-object", "centroid-scale"),
    ],
)
def test_the_hand_in_3d_is_as_far_off_as_its_error_says(protocol, alignment):
    from handbench.evaluation.measuring import aligned_joints
    from handbench.evaluation.protocol import load
    from handbench.hands.record import Hands
    from handbench.report.page.samples import _hand

    chosen = load(protocol)
    joints = hands_in_view(1)
    valid = np.ones((1, 21), bool)
    if chosen.joints == "tips":
        valid[:] = np.isin(np.arange(21), (4, 8, 12, 16, 20))
    true = Hands(id=np.array(["a/b/1"]), joints=np.where(valid[..., None], joints, np.nan), joints_valid=valid)
    seen = {"joints_visible": valid} if chosen.joints == "visible" else {}
    true = true.replace(**seen)
    moved = joints + np.random.default_rng(1).normal(0, 0.01, joints.shape)
    own = Hands(id=true.id, joints=1.3 * moved)
    hand = _hand(true, own, chosen, alignment)
    drawn = [np.array(hand[name], float) / 10 for name in ("truth", "prediction")]
    target, points, counted = aligned_joints(chosen, true, own, alignment)
    error = np.linalg.norm((target - points)[counted], axis=-1)
    there = np.isfinite(drawn[0]).all(1)
    assert there.sum() == counted.sum() > 0
    assert np.isfinite(drawn[1][there]).all()
    assert np.linalg.norm(drawn[0] - drawn[1], axis=-1)[there] == pytest.approx(error, abs=0.2)


def test_a_chart_keeps_the_first_and_the_last_call():
    ms = np.sort(np.random.default_rng(0).uniform(5, 50, 20_000))
    (trace,) = latency_chart([timing(samples_wall_ms=ms)])["data"]
    assert (trace["x"][0], trace["x"][-1]) == (ms[0], ms[-1])
    assert len(trace["x"]) <= 400
    middle = np.searchsorted(trace["y"], 0.5)
    assert trace["x"][middle] == pytest.approx(np.median(ms), rel=0.02)
    assert latency_chart([]) is None


def test_rows_that_were_given_different_things_say_so_in_the_chart():
    at, share = np.linspace(0, 50, 5), np.linspace(0, 1, 5)
    curves = [Curve("a", "p", 3, ["root"], at, share), Curve("b", "p", 3, None, at, share)]
    names = [name for name, _, _ in pck_chart(curves, "root")["legend"]]
    assert names[0].endswith("given root")
    assert names[1].endswith("given not stated")
    assert "given" not in pck_chart(curves[:1], "root")["legend"][0][0]


def plotly_source() -> str:
    import plotly.offline

    return plotly.offline.get_plotlyjs()


@pytest.fixture
def browser():
    program, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium with its chromedriver is installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "use-angle=swiftshader",
                 "enable-unsafe-swiftshader", "window-size=1200,900"):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options, Service(driver))
    yield window
    window.quit()


def test_in_a_browser(handbench, home_with_rows, tmp_path, browser):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    out = tmp_path / "page.html"
    assert handbench("report", "--out", out, "--samples", "1").code == 0
    browser.get(out.as_uri())
    wait = WebDriverWait(browser, 30)

    def run(code, *arguments):
        return browser.execute_script(code, *arguments)

    def shown() -> list[str]:
        return run(
            "return [...document.querySelectorAll('#tables tbody tr')]"
            ".filter(row => row.offsetParent).map(row => row.innerText)"
        )

    wait.until(lambda _: run("return document.querySelectorAll('.plot .main-svg').length >= 8"))
    assert run("return window.broken === undefined")

    # a filter filters, and an emptied one shows all again
    everything = len(shown())
    words = browser.find_element(By.ID, "words")
    words.send_keys("metro")
    some = shown()
    assert 0 < len(some) < everything
    assert all("metro" in row.lower() for row in some)
    assert browser.find_element(By.ID, "count").text == f"{len(some)} of {everything} rows"
    words.clear()
    words.send_keys(" ")
    assert len(shown()) == everything
    run("const s = document.getElementById('whose'); s.value = 'measured'; s.dispatchEvent(new Event('change'))")
    assert len(shown()) == run("return document.querySelectorAll('#tables tr.measured').length") > 0
    run("const s = document.getElementById('whose'); s.value = ''; s.dispatchEvent(new Event('change'))")

    # the source of a figure
    run("document.querySelector('#table-1 td[data-source]').click()")
    tip = browser.find_element(By.ID, "tip")
    assert tip.is_displayed()
    assert "CLIP-Hand3D T1" in tip.text

    # a hand turns under the pointer
    button = browser.find_element(By.CSS_SELECTOR, ".turn")
    run("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    wait.until(lambda _: run("return !!document.querySelector('.turned canvas')"))
    assert run("return document.querySelector('.turned').data.map(t => t.type)") == ["scatter3d"] * 2 + ["mesh3d"] * 2
    eye = "return document.querySelector('.turned')._fullLayout.scene._scene.getCamera().eye"
    before = run(eye)
    from selenium.webdriver import ActionChains

    scene = browser.find_element(By.CSS_SELECTOR, ".turned")
    ActionChains(browser).move_to_element(scene).click_and_hold().move_by_offset(60, 25).pause(0.3).release().perform()
    wait.until(lambda _: run(eye) != before)
    # it is the hand that turns, not its distance that changes
    assert np.linalg.norm(list(run(eye).values())) == pytest.approx(np.linalg.norm(list(before.values())), rel=0.05)
    button.click()
    assert run("return document.querySelectorAll('.turned').length") == 0

    # on a phone nothing is wider than the page
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    wait.until(lambda _: run("return innerWidth") == 390)
    assert run("return document.documentElement.scrollWidth") <= 390

    # on paper there is every table, and no button
    import base64

    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert run("return [...document.querySelectorAll('button, .filter, nav')].every(one => !one.offsetParent)")
    assert len(shown()) == everything

    complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not complaints
