import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from questwell.errors import ConfigError
from questwell.retrieval.remote.blocking import BENCHMARK_SITES, BlockList


@pytest.mark.parametrize(
    "url",
    [
        "https://hotpotqa.github.io/explorer.html",
        "http://WWW.HotpotQA.github.io./",
        "https://huggingface.co/datasets/hotpotqa/hotpot_qa/viewer",
        "https://huggingface.co//datasets/x",
        "https://huggingface.co/%64atasets/x",
        "https://huggingface.co/./datasets?x=1",
        "https://user:pass@huggingface.co:443/datasets",
        "https://github.com/OpenAI/simple-evals/blob/main/x.py",
        "https://web.archive.org/web/2024/https://hotpotqa.github.io/",
        "https://cache.example/?q=hotpotqa.github.io",
        "https://sub.answers.example/x",
        "https://answers.example",
        "https://blog.example/keys/1",
    ],
)
def test_blocked(url):
    assert BlockList(["answers.example", "https://blog.example/keys/"]).blocks(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://huggingface.co/",
        "https://huggingface.co/datasetsandmore",
        "https://nothotpotqa.github.io.example/",
        "https://notanswers.example/",
        "https://blog.example/keysmith",
        "https://github.com/openai/whisper",
        "https://en.wikipedia.org/wiki/Huggingface",
        "https://[",
    ],
)
def test_not_blocked(url):
    assert not BlockList(["answers.example", "https://blog.example/keys/"]).blocks(url)


@settings(deadline=None)
@given(st.sampled_from(BENCHMARK_SITES), st.text(max_size=20), st.sampled_from(["http", "https", "HTTPS"]))
def test_every_benchmark_site_is_blocked_with_what_is_below_it(site, more, scheme):
    if "[" not in more and "]" not in more:
        assert BlockList().blocks(f"{scheme}://{site}/x{more.replace('..', '')}")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_judged(url):
    assert BlockList().blocks(url) in (True, False)


@pytest.mark.parametrize("entry", ["", "nodots", "http://"])
def test_what_is_no_domain_is_refused(entry):
    with pytest.raises(ConfigError):
        BlockList([entry])
