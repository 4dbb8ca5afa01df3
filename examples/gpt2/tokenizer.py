"""Text to token ids and back: tokenizer.json, or vocab.json and merges.txt.

What it is: the `tokenizers` library, with its files and its results checked. What it is not: a BPE.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .files import read_json
from .model import Config
from .program import InputError

END_OF_TEXT = "<|endoftext|>"


def _from_two_files(tokenizers: Any, vocabulary: Path, merges: Path) -> Any:
    model = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(vocabulary), str(merges)))
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    if model.token_to_id(END_OF_TEXT) is not None:
        model.add_special_tokens([END_OF_TEXT])
    return model


class Tokenizer:
    """Text to token ids and back: tokenizer.json, or vocab.json and merges.txt, by the `tokenizers`
    library.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        try:
            import tokenizers
        except ImportError:
            raise InputError(
                folder, "tokenizer", "needs the library: `pip install tokenizers`"
            ) from None
        self.file = folder / "tokenizer.json"
        vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
        if self.file.exists():
            with self._blaming_the_file():
                self.model = tokenizers.Tokenizer.from_file(str(self.file))
        elif vocabulary.exists() and merges.exists():
            for token, number in read_json(vocabulary).items():
                if type(number) is not int or not 0 <= number < 1 << 31:
                    raise InputError(vocabulary, repr(token), "has an id that is no whole number")
            self.file = merges  # what is still wrong is wrong there
            with self._blaming_the_file():
                self.model = _from_two_files(tokenizers, vocabulary, merges)
            self.file = vocabulary
        else:
            raise InputError(
                folder,
                "tokenizer",
                "there is neither tokenizer.json nor vocab.json and merges.txt",
            )
        self.model.no_truncation()  # what the file says of these is for training
        self.model.no_padding()
        self.size = config.vocab_size
        self.ends = {self.model.token_to_id(END_OF_TEXT), config.eos_token_id} - {None}

    @contextlib.contextmanager
    def _blaming_the_file(self) -> Iterator[None]:
        """What the library's parser raises has no type of its own; where the library gives up in
        the middle ("panics"), it is no Exception either.
        """
        try:
            yield
        except BaseException as problem:
            if isinstance(problem, Exception) or type(problem).__name__ == "PanicException":
                raise InputError(self.file, "file", f"is not a tokenizer: {problem}") from None
            raise

    def encode(self, text: str, source: str = "prompt") -> list[int]:
        """Token ids.

        Raises:
            InputError: the text holds what no token stands for, or a token that the model has not.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(source, "text", "is not UTF-8") from None
        with self._blaming_the_file():
            ids: list[int] = self.model.encode(text, add_special_tokens=False).ids
        strange = max(ids, default=0)
        if strange >= self.size:
            token = self.model.id_to_token(strange)
            raise InputError(
                self.file,
                repr(token),
                f"is token {strange}, but the model has {self.size} (vocab_size)",
            )
        if self.model.normalizer is None and len(self.decode(ids)) < len(text):
            raise InputError(
                source, "text", f"holds characters for which {self.file.name} has no token"
            )
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of tokens."""
        with self._blaming_the_file():
            text: str = self.model.decode(ids, skip_special_tokens=False)
        return text

    def stream(self, tokens: Iterator[int]) -> Iterator[str]:
        """The text of each token as it comes; an unfinished character waits for its rest."""
        held: list[int] = []
        before = text = ""
        for token in tokens:
            held.append(token)
            text = self.decode(held)
            if text.endswith("\ufffd") and len(held) < 8:
                yield ""
                continue
            yield text[len(before) :]
            held = held[-1:]
            before = text = self.decode(held)
        if text != before:
            yield text[len(before) :]
