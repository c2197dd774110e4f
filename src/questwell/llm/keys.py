"""Decides which API key is sent to which host: a provider's key only to that provider, unless the user names one."""

import os
import re
from dataclasses import dataclass

import httpx2

from questwell.errors import ConfigError

OPENAI_KEY = "OPENAI_API_KEY"
OPENAI_URL = "https://api.openai.com/v1"

PROVIDER_VARIABLES = {
    "api.openai.com": OPENAI_KEY,
    "openai.azure.com": "AZURE_OPENAI_API_KEY",
    "cognitiveservices.azure.com": "AZURE_OPENAI_API_KEY",
    "services.ai.azure.com": "AZURE_OPENAI_API_KEY",
    "openrouter.ai": "OPENROUTER_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "api.deepseek.com": "DEEPSEEK_API_KEY",
    "api.mistral.ai": "MISTRAL_API_KEY",
    "api.groq.com": "GROQ_API_KEY",
    "api.x.ai": "XAI_API_KEY",
    "api.together.xyz": "TOGETHER_API_KEY",
    "api.together.ai": "TOGETHER_API_KEY",
    "api.fireworks.ai": "FIREWORKS_API_KEY",
    "api.cerebras.ai": "CEREBRAS_API_KEY",
    "api.cohere.ai": "COHERE_API_KEY",
    "api.cohere.com": "COHERE_API_KEY",
    "api.jina.ai": "JINA_API_KEY",
    "api.voyageai.com": "VOYAGE_API_KEY",
    "api.moonshot.ai": "MOONSHOT_API_KEY",
    "api.moonshot.cn": "MOONSHOT_API_KEY",
    "dashscope.aliyuncs.com": "DASHSCOPE_API_KEY",
    "dashscope-intl.aliyuncs.com": "DASHSCOPE_API_KEY",
    "api.z.ai": "ZAI_API_KEY",
    "router.huggingface.co": "HF_TOKEN",
    "integrate.api.nvidia.com": "NVIDIA_API_KEY",
}
"""Environment variable with a provider's key, by host; subdomains belong to the same provider."""


_AT = re.compile(r"(?:openai:)?(?P<model>.+?)@(?P<url>https?://.+)", re.DOTALL)

_NEXT = re.compile(r",\s*(?=https?://|[^,\s]+@https?://)")
"""Separator between two addresses in one model name."""


def endpoint_of(spec: str, base_url: str | None = None) -> tuple[str, str] | None:
    """(model, base URL) that `openai:MODEL` or `MODEL@BASE_URL` names; None if `spec` has neither form.

    Args:
        spec: the model as the user wrote it; the address may contain `user:password@`.
        base_url: base URL for `openai:MODEL`; None for OPENAI_BASE_URL, or api.openai.com if that is not set.
    """
    if found := _AT.fullmatch(spec):
        return found["model"], found["url"].rstrip("/")
    model = spec.removeprefix("openai:")
    if model and (model != spec or base_url):
        return model, (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
    return None


@dataclass(frozen=True, slots=True)
class Places:
    """A model and the addresses that serve it."""

    model: str
    base_urls: tuple[str, ...]


def endpoints_of(spec: str, base_url: str | None = None) -> Places | None:
    """Like `endpoint_of`, but accepts several addresses: `MODEL@URL,URL` or `MODEL@URL,MODEL@URL`.

    Raises:
        ConfigError: two different models are named, or one address twice.
    """
    if (found := endpoint_of(spec, base_url)) is None:
        return None
    model, listed = found
    urls = [part.strip().rstrip("/") for part in _NEXT.split(listed)]
    for at, url in enumerate(urls):
        if (again := _AT.fullmatch(url)) and not url.startswith(("http://", "https://")):
            if again["model"] != model:
                raise ConfigError(
                    f"{spec!r}: several addresses are for one model, not for {model!r} and {again['model']!r}"
                )
            urls[at] = again["url"]
    if len(set(urls)) < len(urls):
        raise ConfigError(f"{spec!r} names an address twice")
    return Places(model, tuple(urls))


def key_variable(base_url: str, named: str | None = None) -> str | None:
    """The environment variable whose key is sent to `base_url`; None if no key is sent there.

    Args:
        base_url: address of the endpoint.
        named: the variable that the user named for this endpoint.
    """
    if named:
        return named
    host = _host(base_url)
    for suffix, variable in PROVIDER_VARIABLES.items():
        if host == suffix or host.endswith(f".{suffix}"):
            return variable
    own = os.environ.get("OPENAI_BASE_URL")
    return OPENAI_KEY if own and _origin(own) == _origin(base_url) else None


def key_for(base_url: str, named: str | None = None) -> str | None:
    """The API key to send to `base_url`; None if there is none."""
    variable = key_variable(base_url, named)
    return (os.environ.get(variable, "").strip() or None) if variable else None


def wants_own_header(base_url: str) -> bool:
    """Whether the key is sent in the header `api-key` (Azure) and not as a bearer token."""
    return _host(base_url).endswith(".azure.com")


def _host(base_url: str) -> str:
    try:
        return httpx2.URL(base_url).host.lower()
    except httpx2.InvalidURL:
        return ""


def _origin(base_url: str) -> tuple[str, str, int | None]:
    url = httpx2.URL(base_url)
    return url.scheme, url.host.lower(), url.port
