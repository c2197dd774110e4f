import random
import sys

import pytest

from questwell.datasets.conftest import MakeItem
from questwell.datasets.dedup import deduplicate, shingles, similarity
from questwell.errors import ConfigError

LONG = "In which year was the lighthouse that the younger brother of the harbour master designed first lit?"


def test_the_first_of_equal_questions_stays(make_item: MakeItem) -> None:
    items = [make_item(0, question="Who is it?"), make_item(1), make_item(2, question="who is it", answer="another")]
    kept, duplicates = deduplicate(items)
    assert [item.id for item in kept] == ["r-s00000", "r-s00001"]
    assert [(d.item_id, d.of, d.exact) for d in duplicates] == [("r-s00002", "r-s00000", True)]


def test_near_ones_need_the_same_answer(make_item: MakeItem) -> None:
    nearly = LONG.replace("first lit", "lit for the first time")
    same = [make_item(0, question=LONG, answer="1900"), make_item(1, question=nearly, answer="1,900".replace(",", ""))]
    kept, (found,) = deduplicate(same)
    assert len(kept) == 1
    assert not found.exact
    assert 0.7 <= found.similarity == similarity(shingles(LONG), shingles(nearly)) < 1
    other = [same[0], make_item(1, question=nearly, answer="1901")]
    assert len(deduplicate(other)[0]) == 2
    assert len(deduplicate(same, threshold=None)[0]) == 2


def test_near_duplicates_are_found_as_brute_force_finds_them(make_item: MakeItem) -> None:
    rng = random.Random(4)
    words = [f"word{n}" for n in range(60)]
    items = []
    for n in range(120):
        if n % 3 == 0 or not items:
            chosen = rng.sample(words, 14)
        else:
            chosen = items[rng.randrange(len(items))].question.split()
            for _ in range(rng.choice((1, 2, 6))):
                chosen[rng.randrange(len(chosen))] = rng.choice(words)
        items.append(make_item(n, question=" ".join(chosen), answer="same"))
    kept, _ = deduplicate(items, threshold=0.6)
    brute: list[str] = []
    grams = {item.id: shingles(item.question) for item in items}
    for item in items:
        if all(similarity(grams[item.id], grams[other]) < 0.6 for other in brute):
            brute.append(item.id)
    assert 20 < len(brute) < 110
    assert [item.id for item in kept] == brute


def test_scripts_without_spaces_are_compared_too(make_item: MakeItem) -> None:
    question = "一九二五年に建てられた灯台を設計した技師の弟が生まれた町はどこですか"
    items = [make_item(0, question=question), make_item(1, question=question.replace("どこ", "何処"))]
    assert len(deduplicate(items)[0]) == 1


def test_without_the_extra_it_says_so(make_item: MakeItem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(ConfigError, match=r"questwell\[datasets\]"):
        deduplicate([make_item(0), make_item(1)])
    assert len(deduplicate([make_item(0), make_item(1)], threshold=None)[0]) == 2


def test_another_number_or_name_makes_another_question(make_item: MakeItem) -> None:
    template = "In which year was the old stone bridge {} over the northern river first opened to public traffic?"
    for one, other in (("number 12", "number 13"), ("of Ostia", "of Quillan")):
        items = [make_item(n, question=template.format(what), answer="1900") for n, what in enumerate((one, other))]
        assert len(deduplicate(items)[0]) == 2
    reworded = template.replace("first opened to public", "opened to the public")
    items = [
        make_item(n, question=form.format("number 12"), answer="1900") for n, form in enumerate((template, reworded))
    ]
    assert len(deduplicate(items)[0]) == 1


def test_one_template_filled_in_often_costs_no_comparison(make_item: MakeItem, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []
    real = similarity
    monkeypatch.setattr(
        "questwell.datasets.dedup.similarity", lambda one, other: compared.append(1) or real(one, other)
    )
    template = "In which year was the old stone bridge number {} over the northern river opened to traffic?"
    for answer in ("{}", "1900"):
        items = [make_item(n, question=template.format(n), answer=answer.format(n)) for n in range(1000)]
        assert len(deduplicate(items)[0]) == 1000
    assert compared == []
