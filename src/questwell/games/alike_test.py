from questwell.games.alike import Alike

TEXT = "The bridge over the Ost was opened in 1801 by Alma of the river guild and is made of red stone"


def test_a_passage_is_alike_when_four_of_five_runs_are_shared() -> None:
    alike = Alike()
    assert not alike.seen(TEXT)
    assert alike.seen(TEXT) and alike.seen(TEXT.upper() + "!")
    assert alike.seen(TEXT + " from the quarry")  # the smaller one's runs are all in it
    assert not alike.seen(TEXT.replace("1801", "1802"))  # 5 of 17 runs are others: another fact
    assert not alike.seen("Quite another text that shares the river guild and nothing else with any of the others here")


def test_the_share_is_counted_exactly() -> None:
    words = [f"w{n}" for n in range(14)]  # ten runs of five
    for changed, expected in ((2, True), (3, False)):
        alike = Alike()
        assert not alike.seen(" ".join(words))
        assert alike.seen(" ".join([*words[: 14 - changed], *(f"x{n}" for n in range(changed))])) is expected


def test_short_passages_are_compared_whole() -> None:
    alike = Alike()
    assert [alike.seen(text) for text in ("See X.", "see x", "See Y.", "")] == [False, True, False, False]


def test_two_earlier_passages_do_not_add_up() -> None:
    alike = Alike()
    first, second = ([f"{letter}{n}" for n in range(10)] for letter in "ab")
    assert not alike.seen(" ".join(first)) and not alike.seen(" ".join(second))
    assert not alike.seen(" ".join([*first[:8], *(f"c{n}" for n in range(9)), *second[:8]]))
