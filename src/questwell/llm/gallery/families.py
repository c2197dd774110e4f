"""How the servers that people use behave. All of them answer with the same scripted model.

Each server refuses what its source says, in the same words, checks the history that it is sent, and writes its
replies in the known form. Sources are documentation and public threads, read on 2026-11-27; OWNER/REPO#N is on GitHub.
"""

import questwell.llm.gallery.checks as checks
import questwell.llm.gallery.dresses as dresses
from questwell.llm.gallery.family import Family, Fields


def _total_only(given: int, made: int) -> Fields:
    """A usage in which thoughts are counted only in the total."""
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made + 2000}


def _with_cost(given: int, made: int) -> Fields:
    return {"prompt_tokens": given, "completion_tokens": made, "cost": 0.001}


_MAX_TOKENS = checks.unsupported("max_tokens", " Use 'max_completion_tokens' instead.")

FAMILIES: tuple[Family, ...] = (
    Family("plain", "platform.openai.com/docs/api-reference/chat"),
    # `stop`: huggingface/smolagents#1671. Temperature: griptape-ai/griptape#1915. max_tokens with its body:
    # langflow-ai/openrag#398. None of them names `seed`.
    Family("openai-reasoning", "huggingface/smolagents#1671",
           (checks.temperature_of_one, checks.unsupported("stop"), _MAX_TOKENS)),
    # 404 without api-version: MicrosoftDocs/azure-docs#114602; its body: BerriAI/litellm#8572. gpt-5.1 at Azure
    # refuses max_tokens: anomalyco/opencode#37964.
    Family("azure", "MicrosoftDocs/azure-docs#114602", (checks.versioned, _MAX_TOKENS),
           path="/openai/deployments/gpt?api-version=1"),
    # `seed`, in a list: Vali-98/ChatterUI#227. Signatures: TokenRhythm/opensquilla#225, in extra_content:
    # earendil-works/pi#6733. Thoughts are counted only in the total: router-for-me/CLIProxyAPI#5733.
    Family("gemini", "ai.google.dev/gemini-api/docs/thought-signatures",
           (checks.unknown_to_google("seed", "frequency_penalty"), checks.signatures_back),
           dresses.signed, _total_only),
    # It ignores `seed`, `response_format` and `strict` and returns no thoughts: docs.anthropic.com/en/api/openai-sdk.
    # Empty messages: microsoft/autogen#6083, miurla/morphic#83. Its JSON comes in fences: C-Bjorn/MegaMem#9.
    Family("anthropic", "platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk",
           (checks.no_empty_message,), dresses.fenced),
    # Without a parser of tool calls: langchain4j/langchain4j#3475 has the body; thoughts and calls stay in the text.
    Family("vllm", "docs.vllm.ai/en/latest/features/tool_calling", (checks.no_tool_parser,), dresses.as_hermes),
    # With a reasoning parser a stop text ends a thought too, and content is null: vllm-project/vllm#14170, #52393.
    Family("vllm-reasoning-parser", "vllm-project/vllm#52393", (), dresses.in_reasoning_struck),
    # docs.sglang.io: thoughts are a separate field. A stop text ends a thought too (vllm-project/vllm#14170).
    Family("sglang", "docs.sglang.io/docs/advanced_features/separate_reasoning", (), dresses.in_reasoning_struck),
    # The template opens the thought, so the text contains only its end: vLLM's page on its Qwen3 parser.
    Family("qwen3-thinking", "docs.vllm.ai/en/v0.20.1/api/vllm/reasoning/qwen3_reasoning_parser", (),
           dresses.inside("", "</think>")),
    # SGLang's page: R1 begins with its thought without an opening mark; R1-0528 writes both marks.
    Family("r1", "docs.sglang.io/docs/advanced_features/separate_reasoning", (), dresses.inside("", "</think>")),
    Family("r1-0528", "docs.sglang.io/docs/advanced_features/separate_reasoning", (),
           dresses.inside("<think>", "</think>")),
    # Content is a list of parts: docs of ThinkChunk (mistral-openapi-client), spring-projects/spring-ai#5020.
    # 422 with its detail inside the message: editor-code-assistant/eca#231 (max_completion_tokens),
    # charmbracelet/crush#1590 (thoughts in the history);
    # `seed`: langchain-ai/langchain-azure#82. Ids of nine letters: nearai/ironclaw#1241.
    Family("mistral", "docs.mistral.ai/capabilities/reasoning",
           (checks.extra_forbidden("seed", "logprobs", "max_completion_tokens", "reasoning_content"),
            checks.short_ids), dresses.in_parts),
    # Ministral served by llama.cpp: its template refuses the server's call ids. [THINK] stays in the text.
    Family("mistral-template", "ggml-org/llama.cpp#26359", (checks.short_ids_in_template,),
           dresses.long_ids(dresses.inside("[THINK]", "[/THINK]"))),
    # Mistral's first templates have no system role, but their error does not name it: microsoft/autogen#1037.
    Family("mistral-first", "microsoft/autogen#1037", (checks.turns_without_system,)),
    # api-docs.deepseek.com/guides/thinking_mode; the body: JohnnyZ93/oai-compatible-copilot#215.
    Family("deepseek", "JohnnyZ93/oai-compatible-copilot#215", (checks.thoughts_back,), dresses.in_reasoning),
    # Arguments of calls are objects, and calls have no ids.
    Family("llama.cpp", "ggml-org/llama.cpp#20198", (), dresses.parsed_arguments),
    # ollama/ollama#17889, #10368, #17427: of a prompt beyond the window (4,096 by default) only the end is read.
    Family("ollama", "ollama/ollama#17889", (), dresses.reasoned, window=4096),
    # Every usage includes the cost. A failure upstream is sent with status 200: decolua/9router#2727 (a similar
    # gateway), langgenius/dify#9197; the form of the error: open-webui/computer#293.
    Family("openrouter", "openrouter.ai/docs/use-cases/usage-accounting", (), dresses.detailed, _with_cost,
           first={"error": {"message": "Provider returned error", "code": 502, "metadata": {"provider_name": "X"}}}),
    # It drops `stop`: PeterGriffinJin/Search-R1#13. It ignores a schema: laravel/ai#879.
    Family("gateway", "laravel/ai#879", (), dresses.runs_on),
    # It sends a stream that nobody asked for, with the content type of JSON.
    Family("gateway-streams", "openclaw/openclaw#97474", (), dresses.in_reasoning, streams=True),
    # Alibaba's thinking models answer only with a stream: coze-dev/coze-studio#324; the body: NEKOparapa/AiNiee#625.
    Family("dashscope", "NEKOparapa/AiNiee#625", (checks.streams_only,), dresses.in_reasoning),
    # Gemma 2: huggingface/chat-ui#1386. Gemma 3: suitenumerique/conversations#197.
    Family("gemma", "huggingface/chat-ui#1386", (checks.no_system, checks.turns)),
    # Channels that no parser removed, with their marks: waybarrios/vllm-mlx#562; without marks:
    # Augustas11/macprovider#743, raullenchai/Rapid-MLX#480. In a function's name: vllm-project/vllm#32587.
    Family("gpt-oss-raw", "waybarrios/vllm-mlx#562", (), dresses.as_harmony),
    Family("gpt-oss-stripped", "Augustas11/macprovider#743", (), dresses.as_stripped_harmony),
    Family("gpt-oss-leak", "vllm-project/vllm#32587", (), dresses.leaked_channel),
)  # fmt: skip
