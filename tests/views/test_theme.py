import re

import pytest

from infoplane.views.plane import resource
from infoplane.views.theme import SHADES, TOKENS, css_variables, time_palette


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_is_readable_on_every_surface(mode):
    t = TOKENS[mode]
    for ink in ("ink", "muted"):
        for surface in ("page", "surface", "raised", "grid"):
            assert contrast(t[ink], t[surface]) >= 4.5, (ink, surface)
    for tone in ("ok", "caution", "bad", "accent"):
        assert contrast(t[tone], t[f"{tone}-soft"]) >= 4.5, tone
        assert contrast(t[tone], t["surface"]) >= 3.0, tone
    assert contrast(t["head"], t["head-ink"]) >= 4.5
    assert contrast(t["faint"], t["surface"]) >= 3.0


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_time_colours_stand_out_and_only_get_brighter(mode):
    palette = time_palette(mode)
    assert len(palette) == SHADES
    assert min(contrast(colour, TOKENS[mode]["surface"]) for colour in palette) >= 3.0
    lights = [luminance(colour) for colour in palette]
    assert lights == sorted(lights)


def test_colours_of_classes_and_estimators_stand_out_in_both_modes():
    declared = re.search(r"const TINTS = \[([^\]]+)\]", resource("charts.js"))[1]
    tints = re.findall(r"#[0-9a-f]{6}", declared)
    assert len(tints) == len(set(tints)) == 10
    for mode in TOKENS:
        for surface in ("surface", "raised"):
            assert min(contrast(tint, TOKENS[mode][surface]) for tint in tints) >= 3.0


def test_both_modes_have_the_same_tokens_and_no_font_is_fetched():
    assert set(TOKENS["light"]) == set(TOKENS["dark"])
    css = css_variables()
    assert "prefers-color-scheme:dark" in css
    assert not re.search(r"url\(|@import|@font-face|http", css)
    assert css_variables("dark").startswith(":host{--ip-page:" + TOKENS["dark"]["page"])
