"""The report in a real browser: seen, heard, judged by keys alone, and closed to the outside."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from vsat.report import (
    Comparison,
    Difference,
    Report,
    ReportFile,
    read_choices,
    wilson_interval,
    write_report,
)

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)

RATE = 8_000
SECONDS = 2.0
TONES_HZ = (400, 1_500)
BASELINE, CANDIDATE = "toy_voices@1", "toy_voices@2"
EVIL = [
    '<img src=x onerror="window.harmed=1">.wav',
    "</script><script>window.harmed=1</script>.wav",
    "\u202egnp.exe<svg onload=window.harmed=1>.wav",
]
NAMES = ["talk 10.wav", "talk 2.wav", *EVIL]
SCORES = {
    "talk 10.wav": (3.0, 4.0),
    "talk 2.wav": (1.0, None),
    EVIL[0]: (2.0, 1.5),
    EVIL[1]: (5.0, 9.0),
}

# Notes each source that begins, and each gain node, as the page makes them.
LISTENER = """
window.starts = []; window.gains = []; window.contexts = [];
const Source = AudioBufferSourceNode, start = Source.prototype.start;
Source.prototype.start = function (when, offset) {
  starts.push([when, offset]); return start.call(this, when, offset);
};
window.GainNode = class extends GainNode {
  constructor(context, options) {
    super(context, options); gains.push(this); contexts.push(context);
  }
};
"""


def recording(name):
    time = np.arange(round(SECONDS * RATE)) / RATE
    voices = np.stack([0.1 * np.sin(2 * np.pi * hz * time) for hz in TONES_HZ]).astype(np.float32)
    voices *= np.random.default_rng(0).uniform(0.5, 1, voices.shape[1])
    mixture = voices.sum(axis=0)
    estimates = {BASELINE: 0.6 * voices + 0.4 * mixture, CANDIDATE: 0.9 * voices + 0.1 * mixture}
    return ReportFile(name, mixture, RATE, estimates, voices)


def scores_of(name):
    baseline, candidate = SCORES.get(name, (0.0, 0.25))
    found = {BASELINE: {"si_sdri_db": baseline, "est_si_sdr_db": baseline + 1}, CANDIDATE: {}}
    if candidate is not None:
        found[CANDIDATE] = {"si_sdri_db": candidate, "est_si_sdr_db": candidate + 1}
    return found


@pytest.fixture(scope="module")
def report_path(tmp_path_factory):
    compared = Comparison(
        BASELINE, CANDIDATE, "si_sdri_db", "can't tell", "Can't tell <b>yet</b>.",
        tuple(Difference(key, 1.2, -0.4, 2.9, 0.75, 4) for key in ("si_sdri_db", "est_si_sdr_db")),
    )  # fmt: skip
    report = Report(
        f"Compared {EVIL[0]}", "calls", (BASELINE, CANDIDATE),
        {name: scores_of(name) for name in NAMES}, (compared,), "0a1b", {"Engine": EVIL[1]},
    )  # fmt: skip
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(path, report, map(recording, NAMES))


@pytest.fixture(scope="module")
def context():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser.new_context(viewport={"width": 1200, "height": 900})
        browser.close()


@contextmanager
def opened(context, path):
    """A report as it opens from disk; fails where it complained, or asked for anything else."""
    page, troubles, requests = context.new_page(), [], []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: troubles.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(LISTENER)
    page.set_default_timeout(10_000)
    page.goto(path.as_uri())
    yield page
    assert troubles == []
    outside = [url for url in requests if not url.startswith(("data:", "blob:"))]
    assert outside == [path.as_uri()]
    page.close()


@pytest.fixture
def page(context, report_path):
    with opened(context, report_path) as page:
        yield page


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def open_first(page):
    """Open the first recording by key, and wait until all of it is drawn."""
    press(page, "j")
    page.wait_for_selector(".stage[data-drawn]")


def tab_to(page, selector):
    for _ in range(60):
        press(page, "Tab")
        if page.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    pytest.fail(f"{selector} can't be reached by Tab")


def until(page, condition):
    """Wait; the driver's own way evaluates text in the page, which its policy refuses."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"never so: {condition}")


def names_shown(page):
    return [text.strip() for text in page.locator("tr.file .toggle").all_inner_texts()]


def position(page):
    return float(page.locator(".stage input[type=range]").input_value())


def test_it_opens_and_says_what_it_knows(page):
    assert page.locator("h1").inner_text() == f"Compared {EVIL[0]}"
    assert page.locator(".verdict .badge").inner_text().endswith("can't tell")
    assert page.locator(".verdict-text").inner_text() == "Can't tell <b>yet</b>."
    means = page.locator("table.means tbody tr").all_inner_texts()
    assert re.findall(r"[\d.]+\d", means[0]) == ["2.20", "3.20"]  # 3, 1, 2, 5 and 0
    assert page.locator(".means .best").count() == 2
    assert page.locator(".distribution svg.plot").count() == 4
    assert page.locator(".distribution").first.locator("circle.dot").count() == 5 + 4 + 4


def test_what_is_estimated_is_called_so_everywhere(page):
    for place in (".differences", ".means", ".distributions"):
        assert page.locator(f"{place} .estimated").count() == 1, place
    assert "estimated" in page.locator("#measure option").nth(1).inner_text()
    assert "estimated" in page.locator(".distribution svg").nth(2).get_attribute("aria-label")
    assert "estimated" not in page.locator("#measure option").first.inner_text()


def test_names_are_text_and_nothing_else(page):
    shown = names_shown(page)
    assert EVIL[0] in shown
    assert EVIL[1] in shown
    assert EVIL[2].replace("\u202e", "\ufffd") in shown
    open_first(page)
    assert page.evaluate("window.harmed") is None
    assert page.locator("img, body > svg, iframe, object").count() == 0


def test_the_page_may_connect_to_nothing_and_run_nothing_else(context, report_path):
    """Its policy holds even for a script that gets in."""
    page = context.new_page()
    page.goto(report_path.as_uri())
    refused = page.evaluate(
        """async () => {
          const seen = [];
          addEventListener("securitypolicyviolation",
            (event) => seen.push(event.effectiveDirective));
          const reached = await fetch("https://example.org/").then(() => true, () => false);
          const image = new Image(); image.src = "https://example.org/x.png";
          try { document.body.innerHTML = "<p>"; } catch { seen.push("trusted types"); }
          await new Promise((resolve) => setTimeout(resolve, 100));
          return [reached, ...seen];
        }"""
    )
    assert refused[0] is False
    assert {"connect-src", "img-src", "trusted types"} <= set(refused)
    page.close()


def test_the_browser_decodes_what_was_stored_sample_for_sample(page, report_path):
    (text,) = re.findall(r'id="audio-1">(.*?)</script>', report_path.read_text())
    stored = json.loads(text)
    expected, rate = soundfile.read(io.BytesIO(base64.b64decode(stored["tracks"][3]["flac"])))
    decoded = page.evaluate(
        """async ([rate, flac]) => {
          const bytes = Uint8Array.from(atob(flac), (one) => one.charCodeAt(0));
          const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer);
          return Array.from(buffer.getChannelData(0));
        }""",
        [rate, stored["tracks"][3]["flac"]],
    )
    assert len(decoded) == len(expected) == SECONDS * RATE
    np.testing.assert_allclose(decoded, expected, atol=1e-4)


def test_all_tracks_begin_at_one_instant_and_switching_keeps_it(page):
    open_first(page)
    press(page, "Space")
    until(page, "(contexts[0]?.currentTime ?? 0) > 0.2")
    starts = page.evaluate("starts")
    assert len(starts) == 7  # the mixture, and two voices each of the references and versions
    assert starts.count(starts[0]) == 7
    heard, positions = [], [position(page)]
    for key in ("1", "2", "3", "4", "v", "1"):
        press(page, key)
        page.wait_for_timeout(60)
        heard.append(page.evaluate("gains.findIndex((node) => node.gain.value > 0.01)"))
        assert page.evaluate("gains.filter((node) => node.gain.value > 0.01).length") == 1
        positions.append(position(page))
    assert heard == [0, 1, 3, 5, 6, 0]
    assert page.evaluate("starts.length") == 7
    assert positions == sorted(positions)
    assert positions[-1] - positions[0] < SECONDS


def test_space_stops_and_goes_on_from_there(page):
    open_first(page)
    press(page, "Space")
    until(page, "(contexts[0]?.currentTime ?? 0) > 0.3")
    press(page, "Space")
    stopped = position(page)
    assert stopped > 0.1
    page.wait_for_timeout(100)
    assert position(page) == stopped
    press(page, "Space")
    until(page, "starts.length === 14")
    assert page.evaluate("starts.at(-1)[1]") == pytest.approx(stopped, abs=0.02)


def test_at_the_end_it_stops_and_begins_again(page):
    open_first(page)
    press(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert position(page) == pytest.approx(SECONDS - 1)
    press(page, "ArrowRight", "Space")
    until(page, "starts.length === 7")
    assert page.evaluate("starts[0][1]") == 0


def test_a_browser_without_a_sound_device_says_so(page):
    page.evaluate("() => { AudioContext.prototype.resume = () => new Promise(() => {}); }")
    open_first(page)
    assert page.get_by_role("alert").count() == 0
    press(page, "Space")
    page.get_by_role("alert").wait_for()
    assert "no sound" in page.get_by_role("alert").inner_text()
    assert page.evaluate("starts") == []


def test_a_click_in_a_lane_seeks_there_and_lets_it_through(page):
    open_first(page)
    lane = page.locator("canvas.spectrogram").nth(5)
    box = lane.bounding_box()
    lane.click(position={"x": box["width"] / 4, "y": 20})
    assert position(page) == pytest.approx(SECONDS / 4, abs=0.02)
    assert page.locator(".lane-label.heard").inner_text().startswith(BASELINE)
    assert "voice 2" in page.locator(".lane-label.heard").inner_text()
    cursor, lane_box = page.locator(".cursor").bounding_box(), lane.bounding_box()
    assert cursor["x"] + 1 == pytest.approx(lane_box["x"] + lane_box["width"] / 4, abs=3)


def test_a_tone_stands_in_its_row_of_the_spectrogram(page):
    open_first(page)
    rows = page.evaluate(
        """[...document.querySelectorAll("canvas.spectrogram")].slice(1, 5).map((canvas) => {
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          const inkOf = (row) => {
            let sum = 0;
            for (let x = 200; x < 800; x += 1) sum -= data[4 * (row * width + x)];
            return sum;
          };
          const ink = Array.from({ length: height }, (_, row) => inkOf(row));
          return height - 0.5 - ink.indexOf(Math.max(...ink));
        })"""
    )
    low, high = (96 * np.log1p(hz / 700) / np.log1p(4_000 / 700) for hz in TONES_HZ)
    assert rows[0] == pytest.approx(low, abs=1.5)  # references, then versions, of voice 1
    assert rows[3] == pytest.approx(high, abs=1.5)  # the reference of voice 2


def test_rows_are_sorted_by_what_is_asked_for(page):
    order = [EVIL[0], EVIL[2].replace("\u202e", "\ufffd"), "talk 10.wav", EVIL[1], "talk 2.wav"]
    assert names_shown(page) == order  # by difference; what has none comes last
    page.get_by_role("button", name="Difference", exact=True).click()
    assert names_shown(page) == [*order[3::-1], "talk 2.wav"]
    page.get_by_role("button", name=BASELINE, exact=True).focus()
    press(page, "Enter")
    assert [name for name in names_shown(page) if "0" in name or " 2" in name] == [
        "talk 10.wav",
        "talk 2.wav",
    ]
    assert names_shown(page)[0] == EVIL[1]
    heads = page.locator("table.files thead th")
    assert heads.nth(2).get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.className") == "sort"
    page.get_by_role("button", name="Recording", exact=True).click()
    assert names_shown(page).index("talk 2.wav") < names_shown(page).index("talk 10.wav")


def test_another_measure_changes_the_columns(page):
    assert "+1.00" in page.locator("tr.file", has_text="talk 10").inner_text()
    page.locator("#measure").select_option("1")
    assert "4.00" in page.locator("tr.file", has_text="talk 10").inner_text()
    assert "5.00" in page.locator("tr.file", has_text="talk 10").inner_text()


def test_keys_move_between_recordings_in_the_order_shown(page):
    open_first(page)
    press(page, "j")
    page.wait_for_selector("tr.opened[data-file='4'] + .detail .stage[data-drawn]")
    press(page, "k")
    page.wait_for_selector("tr.opened[data-file='2'] + .detail .stage[data-drawn]")
    assert page.locator(".stage").count() == 1
    press(page, "Escape")
    assert page.locator(".stage").count() == 0
    assert page.evaluate("document.activeElement.className") == "toggle"
    press(page, "Enter")
    page.wait_for_selector(".stage[data-drawn]")


def test_help_opens_by_key_and_gives_the_focus_back(page):
    open_first(page)
    press(page, "?")
    assert page.locator("#help").is_visible()
    press(page, "Escape")
    assert not page.locator("#help").is_visible()
    assert page.locator(".stage").count() == 1
    assert page.evaluate("document.activeElement.className") == "stage"


def test_the_blind_comparison_by_keys_alone(page, tmp_path):
    tab_to(page, "#begin-blind")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")
    press(page, "Enter")
    for number, key in enumerate("abnab", start=1):
        page.wait_for_selector(f"text=/recording {number} of 5/i")
        page.wait_for_selector("#blind .stage[data-drawn]")
        hidden = page.locator("body").inner_text()
        assert BASELINE not in hidden
        assert CANDIDATE not in hidden
        assert "toy_voices" not in page.locator("#blind").inner_html()
        press(page, "Space", "2", "1", key)
    page.wait_for_selector("#choices-json")
    tab_to(page, "#save-choices")
    with page.expect_download() as download:
        press(page, "Enter")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    choices = read_choices(path)
    assert path.read_text() == page.locator("#choices-json").input_value()
    assert (choices.test_set, choices.test_set_digest) == ("calls", "0a1b")
    assert choices.versions == (BASELINE, CANDIDATE)
    assert [one.file for one in choices.choices] == NAMES
    assert choices.choices[2].preferred is None
    for row, key, choice in zip(
        page.locator(".answers tbody tr").all(), "abnab", choices.choices, strict=True
    ):
        was = dict(zip("ab", row.locator("td").all_inner_texts(), strict=False))
        assert choice.preferred == was.get(key)
        assert {was["a"], was["b"]} == {BASELINE, CANDIDATE}
    found = choices.preference()
    said = page.locator("#preference").inner_text()
    wins = round(found.share * found.n_decided)
    low, high = (round(100 * end) for end in wilson_interval(wins, 4))
    assert f"{wins} of 4 decided files" in said
    assert f"{low} % to {high} %" in said
    press(page, "Escape")
    assert page.locator("#overview").is_visible()


def test_letters_change_from_file_to_file(page):
    """Of forty files all have the same letters once in a million million times."""
    swaps = page.evaluate(
        """() => {
          const seen = new Set();
          const press = (key) =>
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          for (let round = 0; round < 8; round += 1) {
            document.getElementById("begin-blind").click();
            press("f");
            for (const row of document.querySelectorAll(".answers tbody tr")) {
              seen.add(row.children[1].textContent);
            }
            press("Escape");
          }
          return [...seen];
        }"""
    )
    assert sorted(swaps) == [BASELINE, CANDIDATE]


def test_a_blind_comparison_that_was_left_goes_on(page):
    page.locator("#begin-blind").click()
    page.wait_for_selector("#blind .stage[data-drawn]")
    press(page, "a")
    page.wait_for_selector("text=/recording 2 of 5/i")
    press(page, "Escape")
    page.locator("#begin-blind").click()
    page.wait_for_selector("text=/recording 2 of 5/i")
    assert page.locator("progress").get_attribute("value") == "1"


def plain_report(versions, scores=None, *, n_voices=2, comparisons=()):
    """A report on one real conversation: no references."""
    mixture = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
    voices = np.stack([mixture / n_voices] * n_voices)
    file = ReportFile("meeting.wav", mixture, RATE, dict.fromkeys(versions, voices))
    by_version = {label: scores or {} for label in versions}
    return Report("Heard", "", versions, {file.name: by_version}, comparisons), [file]


def test_one_version_alone_can_be_listened_to(context, tmp_path):
    report, files = plain_report(("only@1",), {"est_si_sdr_db": 3.0})
    with opened(context, write_report(tmp_path / "one.html", report, files)) as page:
        open_first(page)
        assert page.locator(".segmented .option").all_inner_texts()[:2] == [
            "1\nMixture",
            "2\nonly@1",
        ]
        assert page.locator("#begin-blind").count() == 0
        assert page.locator(".lane-label").count() == 3


def test_versions_without_any_score_can_still_be_heard_blind(context, tmp_path):
    report, files = plain_report(("a@1", "b@1"), n_voices=3)
    with opened(context, write_report(tmp_path / "none.html", report, files)) as page:
        open_first(page)
        assert page.locator(".lane-label").count() == 7
        press(page, "Escape")
        page.locator("#begin-blind").click()
        page.wait_for_selector("#blind .stage[data-drawn]")
        press(page, "n")
        assert "You preferred neither" in page.locator("#blind h2").inner_text()


def test_of_three_versions_each_pair_can_be_looked_at(context, tmp_path):
    pairs = [("a@1", "a@2"), ("a@1", "a@3")]
    compared = [Comparison(*pair, "stoi", "worse", f"{pair[1]} is worse.", ()) for pair in pairs]
    report, files = plain_report(("a@1", "a@2", "a@3"), {"stoi": 0.5}, comparisons=tuple(compared))
    with opened(context, write_report(tmp_path / "three.html", report, files)) as page:
        assert page.locator(".verdict").count() == 2
        page.locator("label", has_text="Difference").locator("select").select_option("1")
        assert page.locator(".plot-title .hue-2").count() == 1
        page.locator("#begin-blind").click()
        page.wait_for_selector("#blind .stage[data-drawn]")
        press(page, "f")
        assert '"a@3"' in page.locator("#choices-json").input_value()


@pytest.mark.parametrize("width", [360, 700, 1200])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_first(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page, scheme):
    """WCAG 2.2, 1.4.3: 4.5 to 1, of all text colours on both grounds."""
    page.emulate_media(color_scheme=scheme)
    colours = page.evaluate(
        """(names) => {
          const style = getComputedStyle(document.documentElement);
          const colourOf = (name) => style.getPropertyValue(`--${name}`).trim();
          return Object.fromEntries(names.map((name) => [name, colourOf(name)]));
        }""",
        ["paper", "surface", "sunken", "ink", "faint", "accent", "good", "bad", "open"],
    )
    for ground in ("paper", "surface", "sunken"):
        for text in ("ink", "faint", "accent"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for text in ("good", "bad", "open"):
        assert contrast(colours[text], colours["surface"]) >= 4.5, text


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("flite")), reason="needs espeak-ng and flite"
)
def test_the_example_makes_a_report_and_its_picture(tmp_path):
    script = Path(__file__).parent.parent / "examples" / "make_report.py"
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    command = [sys.executable, str(script), str(page), "--picture", str(picture)]
    subprocess.run(command, check=True, timeout=120)
    assert page.stat().st_size < 6e6
    with Image.open(picture) as image:
        assert image.width == 1180
        assert image.height > 2_000


def contrast(first, second):
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    share = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
