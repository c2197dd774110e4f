"""Classifies an answer as a number, a date or an entity.

It is deliberately loose: only an obviously wrong type is detected. In scripts other than Latin, and in languages whose
number words and months are not listed here, no type is obviously wrong.
"""

import re
import unicodedata

from questwell.scoring.quantities import read_number
from questwell.scoring.times import YEAR
from questwell.scoring.words import words
from questwell.types.game import AnswerType

_MONTHS = """
january february march april may june july august september october november december
januar februar märz mai juni juli oktober dezember jänner janvier février mars avril juin juillet août septembre octobre
novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre
gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre janeiro fevereiro março maio junho julho
setembro outubro novembro dezembro januari februari maart mei augustus
"""
_NUMBER_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions
billion trillion half dozen dozens twice thrice pair couple
null eins ein eine zwei drei vier fünf sechs sieben acht neun zehn elf zwölf hundert tausend dutzend
zéro un une deux trois quatre cinq sept huit neuf dix onze douze treize quatorze quinze seize vingt trente quarante
cinquante soixante cent cents mille douzaine
cero uno una dos tres cuatro cinco seis siete ocho nueve diez doce trece catorce quince veinte treinta cuarenta
cincuenta sesenta setenta ochenta noventa cien ciento mil docena
tre quattro cinque sei sette otto nove dieci undici dodici tredici venti trenta quaranta cinquanta cento
um uma dois duas três quatro sete oito dez onze doze vinte cinquenta cem
een twee drie vijf zes zeven negen tien twaalf twintig honderd duizend
"""
_MONTH = frozenset(_MONTHS.split())
_NUMBER_WORD = frozenset(_NUMBER_WORDS.split())
_CAPITALS = re.compile(r"(?<=\s)[A-Z][a-z]{2,}")
_COMPOUND = re.compile(r"\w*(?:zehn|zig|hundert|tausend|tien|honderd|duizend|ventuno|anta\w+)$")
_YEAR = re.compile(YEAR)
_ERA = frozenset(
    {"bc", "bce", "ad", "ce", "century", "centuries", "siècle", "jahrhundert", "siglo", "secolo", "século"}
)
_ENGLISH = frozenset({"the", "which", "what", "whose", "where", "when", "did", "does", "how", "who", "whom"})


def has_type(answer: str, answer_type: AnswerType, question: str = "") -> bool:
    """Whether `answer` can be of this type; `question` shows its language, English if it is left out."""
    has_digit = any(character.isnumeric() for character in answer)
    untold = _other_script(answer) or not _is_english(question)
    match answer_type:
        case AnswerType.NUMBER:
            return has_digit or untold or _has_number_word(answer)
        case AnswerType.DATE:
            return _is_date(answer) or untold
        case AnswerType.ENTITY:
            return any(character.isalpha() for character in answer)


def type_of(answer: str, asked: AnswerType) -> AnswerType:
    """The type of `answer`; `asked`, the requested type, decides for a bare year and in unclear cases."""
    if read_number(answer) is not None:
        bare_year = _YEAR.fullmatch(answer.strip()) is not None
        return AnswerType.DATE if bare_year and asked is not AnswerType.NUMBER else AnswerType.NUMBER
    if _is_date(answer):
        return AnswerType.DATE
    found = words(answer)
    if asked is AnswerType.ENTITY and _CAPITALS.search(answer):
        return AnswerType.ENTITY  # "Seven Samurai", "12 Monkeys"
    if found and (found[0].lstrip("+-~$€£¥")[:1].isnumeric() or found[0] in "$€£¥" or _has_number_word(found[0])):
        return AnswerType.NUMBER if len(found) <= _QUANTITY else AnswerType.ENTITY
    return asked if _other_script(answer) and has_type(answer, asked) else AnswerType.ENTITY


_QUANTITY = 5
"""Maximum number of words of a number with its unit, such as "96 metres above sea level"."""


def _is_date(answer: str) -> bool:
    found = words(answer)
    if _YEAR.search(answer) or any(word in _MONTH or word in _ERA for word in found):
        return True
    return _other_script(answer) and any(character in "年月日년월일世紀纪" for character in answer)


def _has_number_word(answer: str) -> bool:
    return any(word in _NUMBER_WORD or _COMPOUND.match(word) for word in words(answer.replace("-", " ")))


def _is_english(question: str) -> bool:
    return not question or any(word in _ENGLISH for word in words(question))


def _other_script(text: str) -> bool:
    """Whether `text` contains a letter of a script other than Latin."""
    return any(letter.isalpha() and not unicodedata.name(letter, "LATIN").startswith("LATIN") for letter in text)
