"""Sites that a web search must not return, because they contain benchmark questions with their answers."""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from questwell.errors import ConfigError

BENCHMARK_SITES = (
    "huggingface.co/datasets",
    "hf.co/datasets",
    "datasets-server.huggingface.co",
    "huggingface.co/gaia-benchmark",
    "huggingface.co/spaces/gaia-benchmark",
    "modelscope.cn/datasets",
    "kaggle.com/datasets",
    "opendatalab.com",
    "paperswithcode.com/dataset",
    "xethub.hf.co",
    "cdn-lfs.hf.co",
    "cdn-lfs-us-1.hf.co",
    "cdn-lfs-eu-1.hf.co",
    "hotpotqa.github.io",
    "github.com/hotpotqa",
    "curtis.ml.cmu.edu/datasets/hotpot",
    "github.com/stonybrooknlp/musique",
    "github.com/alab-nii/2wikimultihop",
    "github.com/ofirpress/self-ask",
    "github.com/alextmallen/adaptive-retrieval",
    "github.com/google-research-datasets",
    "ai.google.com/research/naturalquestions",
    "storage.googleapis.com/natural_questions",
    "dl.fbaipublicfiles.com/dpr",
    "github.com/facebookresearch/dpr",
    "dl.fbaipublicfiles.com/kilt",
    "github.com/facebookresearch/kilt",
    "nlp.cs.washington.edu/triviaqa",
    "github.com/mandarjoshi90/triviaqa",
    "rajpurkar.github.io/squad-explorer",
    "github.com/rajpurkar/squad-explorer",
    "allenai.org/data/strategyqa",
    "storage.googleapis.com/ai2i/strategyqa",
    "github.com/eladsegal/strategyqa",
    "fanoutqa.com",
    "github.com/zhudotexe/fanoutqa",
    "lastexam.ai",
    "agi.safe.ai",
    "github.com/centerforaisafety/hle",
    "xbench.org",
    "github.com/xbench-ai",
    "github.com/palin2018/browsecomp-zh",
    "github.com/yixuantt/multihop-rag",
    "github.com/osu-nlp-group/hipporag",
    "github.com/ruc-nlpir/webthinker",
    "github.com/ruc-nlpir/search-o1",
    "github.com/openai/simple-evals",
    "openaipublic.blob.core.windows.net",
    "github.com/texttron/browsecomp-plus",
    "github.com/petergriffinjin/search-r1",
    "github.com/ruc-nlpir/flashrag",
    "github.com/alibaba-nlp",
)
"""Domains (with their subdomains), or domains with the beginning of a path. Mirrors are derived from them."""
MIRRORS = {
    "hf-mirror.com": "huggingface.co",
    "hf.co": "huggingface.co",
    "huggingface.com": "huggingface.co",
    "huggingface.co/api": "huggingface.co",
    "huggingface.co/resolve-cache": "huggingface.co",
    "kaggle.com/api/v1": "kaggle.com",
    "modelscope.cn/api/v1": "modelscope.cn",
    "modelscope.ai": "modelscope.cn",
    "raw.githubusercontent.com": "github.com",
    "media.githubusercontent.com/media": "github.com",
    "raw.github.com": "github.com",
    "github1s.com": "github.com",
    "kkgithub.com": "github.com",
    "bgithub.xyz": "github.com",
    "githubfast.com": "github.com",
    "aifasthub.com": "huggingface.co",
    "gitcdn.link/repo": "github.com",
    "gitcdn.link/cdn": "github.com",
    "api.github.com/repos": "github.com",
    "codeload.github.com": "github.com",
    "github.dev": "github.com",
    "raw.githack.com": "github.com",
    "rawcdn.githack.com": "github.com",
    "cdn.statically.io/gh": "github.com",
    "deepwiki.com": "github.com",
    "gitingest.com": "github.com",
    "uithub.com": "github.com",
    "jsdelivr.net/gh": "github.com",
    "hf-mirror.com/api": "huggingface.co",
}
"""Hosts that show the pages of another host under the same path; subdomains are included."""
_MOST_ESCAPES = 4


class BlockList:
    """The benchmarks' sites and those that the user adds."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        """Block `added` too: domains or addresses, with or without https:// before them.

        Raises:
            ConfigError: an entry is not a domain.
        """
        self.entries = tuple(dict.fromkeys(map(_entry, (*BENCHMARK_SITES, *added))))

    @property
    def domains(self) -> tuple[str, ...]:
        """Entries that are whole domains, which search engines can exclude themselves."""
        return tuple(entry for entry in self.entries if "/" not in entry)

    def blocks(self, url: str) -> bool:
        """Whether `url` is on a blocked site, a mirror of one, or an archive or proxy whose address contains one."""
        host, rest = _parts(url)
        places = _same(host, rest)
        for entry in self.entries:
            domain, _, path = entry.partition("/")
            for at, below in places:
                if (at == domain or at.endswith("." + domain)) and _begins(below, path):
                    return True
            if domain in rest and entry in rest:
                return True
        return any(self.blocks(inner) for inner in _inside(rest))


def _same(host: str, rest: str) -> list[tuple[str, str]]:
    """(host, path), and the (host, path) pairs of which it is a mirror."""
    places = [(host, rest)]
    if host.endswith(".translate.goog"):  # a-b--c.translate.goog is a.b-c
        label = host.removesuffix(".translate.goog")
        places.append((label.replace("--", "\0").replace("-", ".").replace("\0", "-"), rest))
    for at, below in places:  # the list grows here: a mirror may be mirrored
        for mirror, original in MIRRORS.items():
            domain, _, path = mirror.partition("/")
            if (at == domain or at.endswith("." + domain)) and _begins(below, path):
                found = original, below[len(path) :].removeprefix("/") if path else below
                if found not in places:
                    places.append(found)
        if (
            at.endswith(".github.io")
            and (found := ("github.com", f"{at.removesuffix('.github.io')}/{below}")) not in places
        ):
            places.append(found)
    return places


def _inside(rest: str) -> list[str]:
    """Addresses inside a path or query, as in the addresses of proxies and archives."""
    return [f"https://{part}" for part in re.split(r"https?:/{1,2}", rest)[1:]]


def _entry(text: str) -> str:
    text = text.strip()
    host, rest = _parts(text if "://" in text else f"https://{text}")
    if "." not in host:
        raise ConfigError(f"block: {text!r} is not a domain such as example.org or example.org/path")
    path = rest.split("?")[0].strip("/")
    return f"{host}/{path}" if path else host


def _parts(url: str) -> tuple[str, str]:
    """(host, rest) as a server would read them: in lower case, with escapes and dots resolved."""
    try:
        parts = urlsplit(url.strip().replace("\\", "/"))  # as browsers do
        host = unicodedata.normalize("NFKC", _unescaped(parts.hostname or "")).replace("\u3002", ".").lower()
        host = host.rstrip(".").removeprefix("www.")
    except ValueError:
        return "", url.partition("://")[2].lower()
    path: list[str] = []
    for part in _unescaped(parts.path).split("/"):
        if part == "..":
            del path[-1:]
        elif part not in ("", "."):
            path.append(part)
    return host, f"{'/'.join(path)}?{_unescaped(parts.query)}".lower()


def _unescaped(text: str) -> str:
    """`text` with all escapes resolved, also escaped escapes."""
    for _ in range(_MOST_ESCAPES):
        if (once := unquote(text)) == text:
            break
        text = once
    return text


def _begins(rest: str, path: str) -> bool:
    return not path or rest.split("?")[0] == path or rest.startswith((path + "/", path + "?", path + "@"))
