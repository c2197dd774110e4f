import sys

import pytest

from questwell.llm.prices import FREE, ListPrice, Price, Usage

USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=100_000)
OPENAI = "https://api.openai.com/v1"


def test_a_price_of_the_users_own():
    assert Price(input_usd=2.0, output_usd=30.0).cost_usd(USAGE) == pytest.approx(2 + 3)


def test_embedded_models_cost_nothing():
    assert FREE.cost_usd(USAGE) == 0.0


def test_list_price_of_a_known_model():
    pytest.importorskip("genai_prices")
    assert ListPrice("gpt-4o-mini", OPENAI).cost_usd(USAGE) == pytest.approx(0.15 + 0.06)


def test_cached_tokens_cost_less_on_the_list():
    pytest.importorskip("genai_prices")
    cached = Usage(1_000_000, 100_000, cached_tokens=1_000_000)
    assert ListPrice("gpt-4o-mini", OPENAI).cost_usd(cached) == pytest.approx(0.075 + 0.06)


@pytest.mark.parametrize(
    ("model", "base_url"), [("no-such-model", OPENAI), ("gpt-4o-mini", "http://127.0.0.1:8000/v1")]
)
def test_unknown_price_is_none(model, base_url):
    assert ListPrice(model, base_url).cost_usd(USAGE) is None


def test_without_the_list_every_price_is_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    assert ListPrice("gpt-4o-mini", OPENAI).cost_usd(USAGE) is None
