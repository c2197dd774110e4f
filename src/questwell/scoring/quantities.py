"""Compares numbers by value: "1.5 million" is 1,500,000, "१२" is 12. Decides only what arithmetic can decide.

A number may be ambiguous ("1.500"), rounded ("12,000" for 12,034) or have a unit: such cases are left to a judge.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from questwell.scoring.signs import signs
from questwell.scoring.times import YEAR
from questwell.scoring.words import fold

_SCALES = {
    "thousand": 3, "million": 6, "billion": 9, "trillion": 12,
    "million(s)": 6, "millions": 6, "mio": 6, "millionen": 6, "milliarde": 9, "milliarden": 9, "mrd": 9,
    "mille": 3, "milliard": 9, "milliards": 9, "mil": 3, "millón": 6, "millones": 6, "milhão": 6, "milhões": 6,
    "milioni": 6, "milione": 6, "miliardi": 9, "tausend": 3, "тысяч": 3, "миллионов": 6, "миллиона": 6,
    "миллиардов": 9, "万": 4, "萬": 4, "億": 8, "亿": 8, "만": 4, "억": 8,
}  # fmt: skip
"""Powers of ten by their words; without words such as "billón", whose value depends on the language."""
_PERCENT = ("%", "percent", "per cent", "prozent", "por ciento", "pour cent", "процентов")
_TAIL = "|".join(map(re.escape, sorted({*_SCALES}, key=len, reverse=True)))
_UNIT = "|".join(map(re.escape, sorted(_PERCENT, key=len, reverse=True)))
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)(?P<body>\d[\d.,' \u00a0]*?)(?:\s*(?P<scale>{_TAIL}))?(?:\s*(?P<unit>{_UNIT}))?[.。]?"
)
_GROUPS = re.compile(r"\d{1,3}(?:([,' ])\d{3})(?:\1\d{3})*(?:\.\d+)?|\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_DECIMAL = re.compile(r"\d+[.,]\d+")
_YEAR = range(1000, 2200)


@dataclass(frozen=True, slots=True)
class Number:
    """A text that consists of one number."""

    readings: tuple[Decimal, ...]
    """Possible values, the most common reading first."""
    resolution: Decimal
    """Value of a 1 in its last digit; 0 if the number is not rounded."""
    percent: bool
    certain: bool
    """Whether an equal value is the same number: not with leading zeros, or zeros at the end as in "version 1.10"."""
    year: bool
    """Whether it is written like a year."""


def read_number(text: str) -> Number | None:
    """The number that `text` consists of; None if it is not exactly one number."""
    found = _NUMBER.fullmatch(" ".join(fold(text).split()).strip("\"' "))
    if found is None:
        return None
    body = found["body"].strip()
    readings = _readings(body)
    if not readings:
        return None
    power = Decimal(10) ** _SCALES.get(found["scale"] or "", 0)
    sign = -1 if found["sign"] == "-" else 1
    values = tuple(sign * Decimal(reading) * power for reading in readings)
    fraction = readings[0].partition(".")[2]
    return Number(
        readings=values,
        resolution=_resolution(readings[0], grouped=not body.isdigit()) * power,
        percent=found["unit"] is not None,
        certain=not (_has_idle_zeros(body, fraction)) and (len(readings) == 1 or "," in body),
        year=body.isdigit() and len(body) == 4 and values[0] in _YEAR and found["scale"] is None,
    )


def amount(text: str) -> Decimal | None:
    """The number in a text such as "36,289 km", or the year of a date; negative before Christ.

    None if there is no number, or several of which none is the year of a date: "5 to 7 km", "1999 to 2004".
    """
    plain = fold(text)
    found = [number for said in _AMOUNT.findall(plain) if (number := read_number(said)) is not None]
    values = [number.readings[0] for number in found]
    if len(values) != 1:
        years = {Decimal(year) for year in _A_YEAR.findall(plain)}
        days = [value for value in values if value not in years]
        if len(years) != 1 or not all(0 < value <= _DAYS for value in days):
            return None
        values = [*years]
    return -abs(values[0]) if _BEFORE_CHRIST.search(plain) else values[0]


_SIGNED = r"(?:(?<![\w.,])[-+])?(?<![\w.,])"
_DIGITS = r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d[\d.,']*(?<![.,']))"
_AMOUNT = re.compile(rf"{_SIGNED}{_DIGITS}(?:\s*(?:{_TAIL})(?!\w))?")
_A_YEAR = re.compile(YEAR)
_DAYS = 31
_BEFORE_CHRIST = re.compile(r"\d\s*b\.?\s?c(?:\.?\s?e)?\b", re.IGNORECASE)


def compare_numbers(answer: str, reference: str) -> bool | None:
    """Whether two plain numbers are equal; None if arithmetic cannot decide.

    Undecided are texts that are not bare numbers, a percentage and a plain number, ambiguous numbers, numbers of which
    one may be the other rounded, and numbers with different signs (5' and 5). Two different years are different.
    """
    if signs(answer) != signs(reference):
        return None
    ours, theirs = read_number(answer), read_number(reference)
    if ours is None or theirs is None or ours.percent != theirs.percent:
        return None
    if ours.readings[0] == theirs.readings[0]:
        return True if ours.certain and theirs.certain else None
    if ours.year and theirs.year:
        return False
    tolerance = max(ours.resolution, theirs.resolution) / 2
    if any(abs(one - other) <= tolerance for one, other in product(ours.readings, theirs.readings)):
        return None
    return False


def _readings(body: str) -> tuple[str, ...]:
    """The possible values of digits and separators, as decimal numbers in plain digits."""
    if body.isdigit():
        return (body,)
    if _GROUPS.fullmatch(body):
        thousands = re.sub("[,' ]", "", body)
        one_comma = body.count(",") == 1 and "." not in body  # "1,500" may be 1.5 where a comma is the decimal sign
        return (thousands, body.replace(",", ".")) if one_comma else (thousands,)
    if _DOTTED.fullmatch(body):
        thousands = body.replace(".", "").replace(",", ".")
        return (body, thousands) if body.count(".") == 1 and "," not in body else (thousands,)
    return (body.replace(",", "."),) if _DECIMAL.fullmatch(body) else ()


def _resolution(reading: str, *, grouped: bool) -> Decimal:
    whole, _, fraction = reading.partition(".")
    if fraction:
        return Decimal(1).scaleb(-len(fraction))
    zeros = len(whole) - len(whole.rstrip("0"))
    if zeros >= 2 and (grouped or len(whole) >= 5):
        return Decimal(10) ** zeros
    return Decimal(1)


def _has_idle_zeros(body: str, fraction: str) -> bool:
    return (len(body) > 1 and body[0] == "0" and body[1].isdigit()) or (
        fraction.endswith("0") and fraction.strip("0") != ""
    )
