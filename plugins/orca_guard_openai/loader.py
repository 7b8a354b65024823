"""The loader `openai`: tells what it can open, and opens it; the HTTP client is imported only then."""

from __future__ import annotations

from orca_guard.contracts import Described, Model, ModelSpec


class OpenAI:
    """Opens `http://host:port/v1#model-name` as a `Model` that generates, embeds and, where the server can, scores.

    Without `#model-name` the server is asked which model it has. Options of its own:

        model         instead of `#model-name`
        key_env       name of the environment variable that holds the key (OPENAI_API_KEY)
        concurrency   most requests at the server at once, over all callers (8)
        timeout_s     longest wait for one answer, in seconds (300)
        retries       most repetitions of one request (4)
        retry_budget  most repetitions of one run together (64)
        score         whether the server gives log-probabilities of a prompt; left out: it is asked once
        listed        whether the model must be in the server's own list (true)
    """

    name = "openai"
    summary = "an OpenAI-compatible server: http://host:port/v1#model-name"

    def claims(self, reference: str) -> bool:
        """An address that begins with `http://` or `https://`."""
        return reference.lower().startswith(("http://", "https://"))

    def open(self, spec: ModelSpec) -> Model:
        """Ask the server for its models and choose one.

        Raises:
            UsageError: the address, an option or the key cannot be used, or the server has no such model.
            ModelFailed: the server cannot be reached, wants another key, or answers with something else.
        """
        from orca_guard_openai.model import open_model  # noqa: PLC0415  # imports httpx
        from orca_guard_openai.settings import settings_of  # noqa: PLC0415

        return open_model(settings_of(spec))

    def describe(self, spec: ModelSpec) -> Described:
        """The same as `open`: a server's model is never loaded here. Raises what `open` raises."""
        from orca_guard_openai.model import open_model  # noqa: PLC0415  # imports httpx
        from orca_guard_openai.settings import settings_of  # noqa: PLC0415

        return open_model(settings_of(spec))
