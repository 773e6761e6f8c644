import json
import subprocess
import sys

import pytest

from cqox.assets import asset_folder
from cqox.figures import render_png
from cqox.figures._typeface import Typeface, _checksum
from cqox.figures.style import FAMILY

FONTS = asset_folder("fonts")
TEXT = "売上高（円）髙﨑①ｱ Effect −0.72 é"
ALONE = """
import json, sys, vl_convert
vl_convert.register_font_directory(sys.argv[1])
sys.stdout.buffer.write(vl_convert.vegalite_to_png(sys.stdin.read(), vl_version="6.4", scale=2.0))
"""


def spec_of(text):
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": [{"text": text}]},
        "mark": {"type": "text", "fontSize": 20, "font": FAMILY},
        "encoding": {"text": {"field": "text"}},
        "width": 400,
        "height": 60,
    }


@pytest.fixture(scope="module")
def regular():
    return Typeface(FONTS / "CQOxGothic-Regular.ttf")


def test_a_subset_draws_its_letters_as_the_whole_font_does(regular, tmp_path):
    (tmp_path / "subset.ttf").write_bytes(regular.subset(TEXT))
    spec = json.dumps(spec_of(TEXT))
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    alone = subprocess.run(command, input=spec.encode(), capture_output=True, check=True, timeout=60).stdout
    assert alone == render_png(spec_of(TEXT))


def test_a_subset_is_small_and_a_whole_font_file(regular):
    font = regular.subset(TEXT)
    assert len(font) < 12_000
    assert _checksum(font) == 0xB1B0AFBA
    assert b"SIL Open Font License" in font.replace(b"\0", b"")


def test_a_letter_that_the_font_lacks_is_left_out(regular):
    assert not regular.holds("\U0001f600")
    assert regular.subset("売\U0001f600") == regular.subset("売")


@pytest.mark.parametrize("weight", ["Regular", "Bold"])
def test_both_weights_hold_all_of_jis_x_0208_and_code_page_932(weight):
    face = Typeface(FONTS / f"CQOxGothic-{weight}.ttf")
    lead = [*range(0x81, 0xA0), *range(0xE0, 0xEB), 0xED, 0xEE]
    letters = [bytes([a, b]).decode("cp932", "ignore") for a in lead for b in range(0x40, 0xFD)]
    wanted = {letter for letter in letters if len(letter) == 1 and letter.isprintable()} | {
        "−",
        "…",
        "é",
        "≤",
        "∞",
        "ﾊ",
        "～",
    }
    assert [letter for letter in sorted(wanted) if not face.holds(letter)] == []


def test_the_licence_travels_with_the_fonts():
    licence = (FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "M PLUS 1" in licence
    assert "BIZ UDPGothic" in licence
    assert sum(path.stat().st_size for path in FONTS.iterdir()) < 6_000_000
