"""The package's extras: the purpose of each, the modules it installs, and whether they are present."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from questwell.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Extra:
    """One extra of the package."""

    purpose: str
    modules: tuple[str, ...]
    """Top-level modules that it installs."""

    def missing(self) -> list[str]:
        """Return the modules of this extra that are not installed."""
        return [name for name in self.modules if importlib.util.find_spec(name) is None]


EXTRAS: Mapping[str, Extra] = {
    "local": Extra("a model in this process: --llm local", ("xllamacpp",)),
    "prices": Extra("list prices of models, for costs and --max-cost", ("genai_prices",)),
    "dense": Extra("--retriever hybrid, embedders, --meaning", ("onnxruntime", "onnx", "tokenizers", "usearch")),
    "serve": Extra("questwell serve, and retrievers named mcp:...", ("starlette", "uvicorn", "mcp")),
    "documents": Extra("corpora of HTML, PDF and docx files", ("trafilatura", "pypdf", "docx")),
    "hub": Extra("corpora named hf:NAME, and questwell push", ("datasets", "huggingface_hub")),
    "view": Extra("questwell view: runs as web pages", ("starlette", "uvicorn", "jinja2", "numpy")),
    "qdrant": Extra("collections in Qdrant: --retriever qdrant:...", ("qdrant_client",)),
    "opensearch": Extra("indexes in OpenSearch and Elasticsearch", ("opensearchpy",)),
    "web": Extra("pages of web results: --page-text", ("trafilatura",)),
    "datasets": Extra("near-duplicates in questwell dataset", ("datasketch",)),
    "plots": Extra("charts.png of train and selfplay", ("matplotlib",)),
    "train": Extra("questwell train and selfplay", ("torch", "transformers", "peft", "matplotlib")),
    "adam8bit": Extra("train --optimizer adamw8bit", ("bitsandbytes",)),
    "tensorboard": Extra("train --tensorboard", ("tensorboard",)),
    "ray": Extra("generate --engine ray: shards on a cluster", ("ray",)),
    "otel": Extra("OpenTelemetry spans: --spans", ("opentelemetry",)),
    "vllm": Extra("train and selfplay that sample with vLLM, in an environment of its own", ("vllm",)),
    "verl": Extra("--engine verl, in an environment of its own", ("verl",)),
}
"""Every extra except `all`, which installs all of them but those in ALONE."""
ALONE = frozenset({"vllm", "verl"})
"""Extras that need an environment of their own."""


def command(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'questwell[{extra}]'"


def check_extra() -> None:
    """Check that the packages that training needs are installed.

    Raises:
        ConfigError: one is missing; the message says what to install.
    """
    if missing := EXTRAS["train"].missing():
        raise ConfigError(f"training needs the extra 'train' ({', '.join(missing)} not found): {command('train')}")
