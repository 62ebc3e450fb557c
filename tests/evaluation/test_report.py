"""The report: what is in it, in which order, and that nothing in a file's name can act in it."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.report import REPORT_NAME, named_runs, own_runs, write_report
from anchor_hub.evaluation.result import Metric, SampleResult, read_run, write_samples
from tests.evaluation.report_makers import HOSTILE, noise, pair, report_folder, stats_lines
from tests.tiny import tiny_home, write_sample

VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """The elements of a page, with their attributes and text; fails where tags are not nested properly."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(report: Path, **options: object) -> Page:
    path = write_report(report, **options)  # type: ignore[arg-type]
    assert path == report / REPORT_NAME
    return Page(path.read_text(encoding="utf-8"))


def captions(page: Page, after: str, before: str) -> list[str]:
    """Names of the samples between two pieces of the page's text."""
    part = page.text.split(after, 1)[1].split(before, 1)[0]
    return re.findall(r"\b(\d{6})\b", part)


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = page_of(report_folder(tmp_path))
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href"):
                assert value and value.startswith(("data:image/", "#")), (tag, name, value)
            assert name != "style", tag
    source = (tmp_path / "report" / REPORT_NAME).read_text(encoding="utf-8")
    assert "http:" not in source and "https:" not in source and "@import" not in source and "url(" not in source
    assert not page.all("link") and len(page.all("script")) == 1
    policy = next(item["content"] for item in page.all("meta") if item.get("http-equiv"))
    assert policy and "default-src 'none'" in policy and "unsafe" not in policy


def test_the_table_says_what_each_number_was_measured_by(tmp_path: Path) -> None:
    text = page_of(report_folder(tmp_path)).text
    for wanted in ("PSNR ↑ 15.5 dB", "L1 ↓ 0.94", "KID ×10³ ↓ 12.25 x1000", "bicubic 299 subset_size 100"):
        assert wanted in text
    for wanted in ("inception-v3-compat cdcdcdcdcdcd", "5,000 real 5,000 fake", "76 % of the way from chance to floor"):
        assert wanted in text
    assert "mask → photo" in text and "hub tiny abababababab" in text and "12 samples" in text
    # Values by class become one table; what a class lacks is a dash.
    assert "kid images cat 1.5 – dog 2.5 9" in text
    assert "translation.seed 3" in text and "data.sha256" in text and "versions.anchor-hub 0.1.0" in text


def test_pictures_are_the_files_pixel_by_pixel(tmp_path: Path) -> None:
    report = report_folder(tmp_path)
    images = page_of(report).all("img")
    assert [item["alt"] for item in images[:3]] == ["input of 000000", "output of 000000", "truth of 000000"]
    files = (tmp_path / "input" / "0.png", report / "outputs" / "0.png", tmp_path / "truth" / "0.png")
    for item, file in zip(images, files, strict=False):
        assert item["src"] and item["class"] == "exact" and (item["width"], item["height"]) == ("16", "16")
        shown = Image.open(io.BytesIO(base64.b64decode(item["src"].partition(",")[2])))
        assert shown.convert("RGB").tobytes() == Image.open(file).convert("RGB").tobytes()


def test_large_pictures_are_shrunk_and_say_their_size(tmp_path: Path) -> None:
    report = report_folder(tmp_path, count=2, size=400)
    item = page_of(report).all("img")[0]
    assert item["src"] and item["src"].startswith("data:image/webp") and item["width"] == "400" and "class" not in item
    assert Image.open(io.BytesIO(base64.b64decode(item["src"].partition(",")[2]))).size == (320, 320)


def test_best_and_worst_follow_the_scores_direction(tmp_path: Path) -> None:
    page = page_of(report_folder(tmp_path))
    # psnr rises with the number and higher is better; l1 falls with it and lower is better; sample 0 has no l1.
    assert captions(page, "Best and worst by PSNR", " Worst ") == [f"{n:06d}" for n in (11, 10, 9, 8, 7, 6)]
    by_psnr = page.text.split("Best and worst by PSNR")[1].split("Best and worst by L1")[0]
    assert re.findall(r"\b(\d{6})\b", by_psnr.split("Worst")[1]) == [f"{n:06d}" for n in (0, 1, 2, 3, 4, 5)]
    by_l1 = page.text.split("Best and worst by L1")[1]
    assert "L1 of 11 samples; the line is the median. 1 have no score." in by_l1
    assert re.findall(r"\b(\d{6})\b", by_l1.split("Best")[1])[:2] == ["000011", "000010"]
    assert re.findall(r"\b(\d{6})\b", by_l1.split("Worst")[1])[0] == "000001"


def test_a_score_without_direction_has_no_best(tmp_path: Path) -> None:
    neutral = Metric(name="psnr", value=1.0, higher_is_better=None)
    page = page_of(report_folder(tmp_path, pairs=[pair(metrics=[neutral])]))
    assert "Highest and lowest by psnr" in page.text and "Best and worst by psnr" not in page.text


def test_only_the_first_samples_are_in_the_grid(tmp_path: Path) -> None:
    page = page_of(report_folder(tmp_path, count=40))
    assert "the first 16 of 40" in page.text
    assert captions(page, "the first 16 of 40", "Best and worst") == [f"{n:06d}" for n in range(16)]


def test_text_from_files_never_acts(tmp_path: Path) -> None:
    metric = Metric(
        name="psnr",
        value=None,
        higher_is_better=True,
        label=HOSTILE,
        unit=HOSTILE,
        note=HOSTILE,
        resize=HOSTILE,
        settings={HOSTILE: 1},
        counts={HOSTILE: 1},
        details={HOSTILE: {HOSTILE: {HOSTILE: 1}}},
    )
    report = report_folder(
        tmp_path,
        name=HOSTILE.replace("{", "").replace("}", "") + "{}",
        title=HOSTILE,
        settings={HOSTILE: {HOSTILE: HOSTILE}, "bidi": "\u202eabc\0"},
        pairs=[pair(source=HOSTILE, settings={"note": [HOSTILE]}, metrics=[metric])],
    )
    (report / "stats-seg.jsonl").write_text(json.dumps({"images": 1, "losses": {HOSTILE: 1.0}}) + "\n")
    page = page_of(report, stats={HOSTILE: report / "stats-seg.jsonl"})
    assert len(page.all("script")) == 1
    assert all((item.get("src") or "data:").startswith("data:") and "onerror" not in item for item in page.all("img"))
    assert page.text.count('<script>document.title="owned"</script>') > 20
    assert "\u202e" not in page.text and "\0" not in page.text


def test_what_is_missing_is_said_to_be(tmp_path: Path) -> None:
    report = report_folder(tmp_path)
    (report / "outputs" / "0.png").unlink()
    (tmp_path / "truth" / "0.png").write_bytes(b"not a picture")
    (report / "stats-seg.jsonl").unlink()
    page = page_of(report)
    labels = [item.get("aria-label") for item in page.all("div") if item.get("class") == "none"]
    assert labels[:2] == ["output is missing", "truth is unreadable"]
    assert "stats-seg.jsonl: the training log is not there any more" in page.text and "Training" not in page.text
    (report / "samples.jsonl").write_text('{"index": 0}\n')
    page = page_of(report)
    assert "samples.jsonl, line 1" in page.text and "PSNR ↑ 15.5 dB" in page.text and not page.all("img")[1:]


def test_files_outside_of_the_folder_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text(stats_lines())
    report = report_folder(tmp_path, pairs=[pair(samples="../secret.jsonl")])
    assert "../secret.jsonl: lies outside of the report folder" in page_of(report).text


def test_output_paths_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    report = report_folder(tmp_path, count=2)
    secret = noise(tmp_path / "secret.png", 99)
    samples = [
        SampleResult(index=n, name=str(n), input="-", outputs=[name])
        for n, name in enumerate(("../secret.png", str(secret)))
    ]
    write_samples(report / "samples.jsonl", samples)
    page = page_of(report)
    assert not [item for item in page.all("img") if item.get("src")]
    assert page.text.count("not in this folder") == 2


def test_training_logs_become_plots(tmp_path: Path) -> None:
    report = report_folder(tmp_path)
    other = tmp_path / "run"
    other.mkdir()
    torn = '{"images": 5, "losses": {"generator": NaN}}\n[1]\n{"images": 6, "losses": {"generator": 1.5}}\n{"ima'
    (other / "stats.jsonl").write_text(torn)
    page = page_of(report, stats={"hub": other})
    labels = [item["aria-label"] for item in page.all("svg") if item.get("class") == "plot"]
    assert "edges over training of seg" in labels and "generator over training of hub" in labels
    assert "images per second over training of seg" in labels
    assert "1.5 at 6 images" in page.text and "0.06667 at the end" in page.text
    with pytest.raises(DataError, match="holds no training log"):
        write_report(report, {"seg": tmp_path / "nowhere"})
    # The log is copied, so that the folder can be passed on and the page be written again.
    (other / "stats.jsonl").unlink()
    assert "1.5 at 6 images" in page_of(report).text


def test_runs_are_named_after_their_folders(tmp_path: Path) -> None:
    given = ["seg=x/run", "runs/domain-face/", "runs/hub/stats.jsonl", "a/b=c"]
    assert named_runs(given) == {
        "seg": Path("x/run"), "domain-face": Path("runs/domain-face"), "hub": Path("runs/hub/stats.jsonl"),
        "b=c": Path("a/b=c"),
    }  # fmt: skip
    with pytest.raises(UsageError, match="two training runs are called 'x'"):
        named_runs(["a/x", "b/x"])


def test_the_homes_own_runs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, monkeypatch, ("seg", "face"))
    run = read_run(report_folder(tmp_path, pairs=[pair(source="seg", target="elsewhere")]))
    assert own_runs(run) == {}
    log = home / "runs" / "domain-seg" / "stats.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(stats_lines())
    (home / "runs" / "domain-elsewhere").mkdir()
    (home / "runs" / "domain-elsewhere" / "stats.jsonl").write_text(stats_lines())
    assert own_runs(run) == {"seg": log}
    assert "seg means since the line before" in page_of(tmp_path / "report", stats=own_runs(run)).text


def test_several_pairs_have_an_overview(tmp_path: Path) -> None:
    other = pair(source="photo", target="mask", backend="nearest", metrics=[*pair().metrics[:1], *pair(9).metrics[1:2]])
    page = page_of(report_folder(tmp_path, pairs=[pair(), other]))
    links = [item["href"] for item in page.all("a")]
    assert links[:3] == ["#overview", "#pair-1", "#pair-2"]
    # L1 over 9 and over 12 pairs are two columns: they are not one measurement.
    assert "translation PSNR ↑ L1 ↓ KID ×10³ ↓ inception-v3-compat L1 ↓ mask → photo" in page.text
    assert "photo → mask (nearest) 15.5 0.94" in page.text


def test_label_maps_and_points_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_home(tmp_path, monkeypatch, ("seg", "points"))
    report = report_folder(tmp_path, count=2, pairs=[pair(source="seg", target="points", metrics=[])])
    write_sample("seg", tmp_path / "seg.png", seed=1)
    points = [[4 + n / 8, 4 + n / 10] for n in range(68)]
    (report / "points.json").write_text(json.dumps({"size": [16, 16], "points": points}))
    sample = SampleResult(index=0, name="a", input=str(tmp_path / "seg.png"), outputs=["points.json"])
    write_samples(report / "samples.jsonl", [sample])
    first, second = page_of(report).all("img")[:2]
    assert first["alt"] == "input of a" and second["alt"] == "output of a" and second["width"] == "128"
    drawn = Image.open(io.BytesIO(base64.b64decode(str(first["src"]).partition(",")[2]))).convert("RGB")
    assert len(drawn.getcolors() or []) > 2


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    report = report_folder(tmp_path)
    first = write_report(report).read_bytes()
    assert write_report(report).read_bytes() == first


def test_a_folder_without_metrics_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metrics\.json"):
        write_report(tmp_path)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        write_report(tmp_path)
    assert not (tmp_path / REPORT_NAME).exists()
