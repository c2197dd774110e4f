"""Function words, which say nothing about the topic of a question. For overlaps of questions, not for verdicts."""

_ENGLISH = """
a about after also an and any are as at be been before both but by can could did do does during for from had has have he
her his how i if in into is it its many more most much name named no not of on one only or other over per she so than
that the their them then there these they this those under to up was were what when where whether which while who whom
whose why will with would year years you
"""
_OTHERS = """
al auf aus au aux avec chi che como con cual cuál da das de del den der des di die do dos du e ein eine el en es est et
fue für il im ist la las le les los mit où par pour qual quale quand que quel quelle quem qui quién se son sur um un una
und une van von war wann was welche welcher welches wer wie wo y zu в и из как какой какая кто на по с что где когда был
была было
"""
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_OTHER_WORDS = frozenset(_OTHERS.split())
_WORDS = _ENGLISH_WORDS | _OTHER_WORDS
_CHARACTERS = frozenset("的是在了和与或哪什么谁何为有被其中这那个于之以及吗呢们年月日")


def is_functional(word: str) -> bool:
    """Whether a lower-case word has only a grammatical role: function words, Hiragana, some Han characters."""
    if word in _WORDS or word in _CHARACTERS:
        return True
    return len(word) == 1 and ("\u3040" <= word <= "\u309f" or not word.isalnum())


def is_english(word: str) -> bool:
    """Whether a lower-case word is a function word of English, but of none of the other languages here."""
    return word in _ENGLISH_WORDS and word not in _OTHER_WORDS
