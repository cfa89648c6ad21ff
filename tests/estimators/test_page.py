"""The page of estimators: current, complete, and true to the cards."""

from pathlib import Path

import pytest

from infoplane.estimators import card, catalogue
from infoplane.estimators.page import families, markdown, measured, section

PAGE = Path(__file__).parents[2] / "docs/estimators.md"


def test_the_committed_page_is_what_the_cards_say_now():
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "run `infoplane catalogue --markdown > docs/estimators.md`"
    )


def test_every_estimator_stands_in_one_family_and_was_measured():
    listed = [one.id for _, _, cards in families() for one in cards]
    assert sorted(listed) == sorted(one.id for one in catalogue())
    assert "Others" not in [title for title, _, _ in families()]
    assert set(measured()) == set(listed)
    assert all(entry["ms"] > 0 for entry in measured().values())


def test_links_of_the_table_lead_to_sections():
    text = markdown()
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("##")]
    anchors = {
        "".join(c for c in line.lower().replace("`", "") if c.isalnum() or c in " -_").replace(
            " ", "-"
        )
        for line in headings
    }
    targets = [part.split(")")[0] for part in text.split("](#")[1:]]
    assert len(targets) == len(catalogue()) + len(list(families()))
    assert set(targets) <= anchors


def test_measured_errors_are_near_what_the_card_states_for_twice_the_samples():
    for one in catalogue():
        for name, error in measured()[one.id]["error"].items():
            assert abs(error) <= 2 * one.tolerance[name] + 0.01, (one.id, name)


@pytest.mark.parametrize("name", ["mi.ksg", "collapse.nc3"])
def test_a_section_tells_everything(name):
    text, entry = section(card(name)), card(name)
    for part in (entry.label, entry.summary, entry.formula, entry.reference, *entry.limits):
        assert part.replace("*", "\\*").replace("<", "&lt;") in text
    assert all(f"`{param}`" in text for param in entry.params)


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.id)
def test_every_card_says_what_it_assumes_and_how_far_it_is_off(entry):
    assert entry.assumes
    assert entry.assumes != ("rows i.i.d.",), "that says nothing of this estimator"
    text = section(entry)
    for heading in ("What the number is", "Formula", "Needs", "Cost", "Error", "Reference"):
        assert f"- **{heading}.** " in text, heading
    assert "not measured;" not in text
