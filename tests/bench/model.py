"""The embedding model itself, without anything of ours around it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any


@cache
def word_llama() -> Any:
    """The model that the wheel of wordllama carries: nothing is downloaded."""
    import wordllama

    return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
