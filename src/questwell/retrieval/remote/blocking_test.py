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
        "https://hf-mirror.com/datasets/hotpotqa/hotpot_qa",
        "https://hf.co/datasets/x",
        "https://huggingface.co/api/datasets/hotpotqa/hotpot_qa/parquet",
        "https://hf-mirror.com/api/datasets/x",
        "https://datasets-server.huggingface.co/rows?dataset=hotpotqa",
        "https://huggingface-co.translate.goog/datasets/x?_x_tr_sl=auto&_x_tr_tl=de",
        "https://hotpotqa-github-io.translate.goog/",
        "https://translate.google.com/translate?sl=auto&tl=de&u=https://hotpotqa.github.io/",
        "https://translate.google.com/translate?u=https%253A%252F%252Fhotpotqa.github.io%252F",
        "https://cdn.jsdelivr.net/gh/StonyBrookNLP/musique@main/data.json",
        "https://fastly.jsdelivr.net/gh/hotpotqa/hotpot/x",
        "https://raw.githubusercontent.com/openai/simple-evals/main/x.py",
        "https://api.github.com/repos/openai/simple-evals/contents",
        "https://codeload.github.com/hotpotqa/hotpot/zip/main",
        "https://openai.github.io/simple-evals/",
        "https://r.jina.ai/https://hf-mirror.com/datasets/x",
        "https://proxy.example/http:/cdn.jsdelivr.net/gh/hotpotqa/hotpot",
        "https://huggingface.co/models/../datasets/x",
        "https://cas-bridge.xethub.hf.co/xet-bridge-us/x",
        "https://media.githubusercontent.com/media/hotpotqa/hotpot/x",
        "https://github1s.com/openai/simple-evals",
        "https://gitcdn.link/repo/hotpotqa/hotpot/master/x",
        "https://hotpotqa.github.io%2e/",
        "https://hotpotqa。github。io/",
        "https://ｈｏｔｐｏｔｑａ.github.io/",
        "https://huggingface.co/%2564atasets/x",
        "https://huggingface.co\\datasets\\x",
        "https://user@huggingface.co:443//datasets/x",
        "https://kkgithub.com/hotpotqa/hotpot",
        "https://aifasthub.com/datasets/x",
        "https://mirror.answers-example.translate.goog/".replace("mirror.", ""),
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
        "https://hf-mirror.com/models",
        "https://cdn.jsdelivr.net/npm/hotpotqa",
        "https://cdn.jsdelivr.net/gh/openai/simple-evals-of-mine/x",
        "https://huggingface-co.translate.goog/blog",
        "https://r.jina.ai/https://en.wikipedia.org/wiki/Tea",
        "https://en.wikipedia.org/wiki/Huggingface",
        "https://[",
    ],
)
def test_not_blocked(url):
    assert not BlockList(["answers.example", "https://blog.example/keys/"]).blocks(url)


KEYS = {
    "musique": ["github.com/StonyBrookNLP/musique"],
    "hotpotqa": ["hotpotqa.github.io", "curtis.ml.cmu.edu/datasets/hotpot/hotpot_dev_distractor_v1.json"],
    "2wiki": ["github.com/Alab-NII/2wikimultihop"],
    "frames": ["huggingface.co/datasets/google/frames-benchmark"],
    "bamboogle": ["github.com/ofirpress/self-ask"],
    "nq": ["ai.google.com/research/NaturalQuestions", "storage.googleapis.com/natural_questions/v1.0",
           "dl.fbaipublicfiles.com/dpr/data/retriever/nq-test.qa.csv", "dl.fbaipublicfiles.com/KILT/nq-dev-kilt.jsonl"],
    "triviaqa": ["nlp.cs.washington.edu/triviaqa"],
    "popqa": ["github.com/AlexTMallen/adaptive-retrieval"],
    "gaia": ["huggingface.co/spaces/gaia-benchmark/leaderboard"],
    "browsecomp": ["openaipublic.blob.core.windows.net/simple-evals/x.csv", "github.com/PALIN2018/BrowseComp-ZH"],
    "browsecomp-plus": ["texttron.github.io/BrowseComp-Plus"],
    "hle": ["lastexam.ai", "agi.safe.ai", "github.com/centerforaisafety/hle"],
    "simpleqa": ["github.com/openai/simple-evals"],
    "strategyqa": ["allenai.org/data/strategyqa", "github.com/eladsegal/strategyqa",
                   "storage.googleapis.com/ai2i/strategyqa/data/strategyqa_dataset.zip"],
    "fanoutqa": ["fanoutqa.com", "github.com/zhudotexe/fanoutqa"],
    "xbench": ["xbench.org", "github.com/xbench-ai/xbench-evals"],
}  # fmt: skip
"""Where the answers of each benchmark that can be evaluated on are published."""


@pytest.mark.parametrize("address", [address for held in KEYS.values() for address in held])
def test_the_key_of_every_benchmark_is_blocked(address):
    assert BlockList().blocks(f"https://{address}")


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
