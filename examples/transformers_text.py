"""The Hugging Face Trainer: a small BERT and a small GPT-2 from scratch, with one callback more.

The task is made up on the spot (does a sentence hold token 7 more often than token 8?), the models
are built from a configuration: nothing is downloaded.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)

import infoplane as ip
from infoplane.integrations.transformers import InfoPlaneCallback

WORDS, LENGTH = 24, 12


class Sentences(Dataset[dict[str, torch.Tensor]]):
    """Random token sequences and their label."""

    def __init__(self, n: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(5, WORDS, (n, LENGTH), generator=generator)
        self.tokens[torch.rand(n, LENGTH, generator=generator) < 0.4] = 7
        self.tokens[torch.rand(n, LENGTH, generator=generator) < 0.4] = 8
        self.labels = ((self.tokens == 7).sum(1) > (self.tokens == 8).sum(1)).long()

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[row], "labels": self.labels[row]}


def bert() -> PreTrainedModel:
    """Return an encoder with two layers."""
    return BertForSequenceClassification(BertConfig(
        vocab_size=WORDS, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=LENGTH, num_labels=2,
    ))  # fmt: skip


def gpt2() -> PreTrainedModel:
    """Return a decoder with two layers."""
    return GPT2ForSequenceClassification(GPT2Config(
        vocab_size=WORDS, n_embd=32, n_layer=2, n_head=4, n_positions=LENGTH, num_labels=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    ))  # fmt: skip


def main(folder: str | Path, kind: str = "bert", steps: int = 30) -> Path:
    """Train one of the two and record a run in `folder`."""
    torch.manual_seed(0)
    model = {"bert": bert, "gpt2": gpt2}[kind]()
    train, test = Sentences(2000, seed=0), Sentences(400, seed=1)

    run = ip.Run.create(Path(folder) / kind)
    callback = InfoPlaneCallback(
        ip.Probe({"input_ids": test.tokens}, test.labels), run, every=ip.log_spaced(15),
        reduce="last_token" if kind == "gpt2" else None,
        capture=("output", "attention", "logits"),
    )  # fmt: skip
    arguments = TrainingArguments(
        output_dir=str(Path(folder) / "trainer"), max_steps=steps, logging_steps=5, report_to=[],
        per_device_train_batch_size=32, save_strategy="no", use_cpu=True, disable_tqdm=True,
        learning_rate=1e-3, seed=0, dataloader_pin_memory=False,
    )  # fmt: skip
    Trainer(model=model, args=arguments, train_dataset=train, callbacks=[callback]).train()
    run.close()
    return run.path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("bert", "gpt2"))
    parser.add_argument("folder", nargs="?", default="runs")
    print(main(parser.parse_args().folder, parser.parse_args().kind))
