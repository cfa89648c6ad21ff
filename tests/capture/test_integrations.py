"""The callbacks: bit-identical trainings, the time axis over a restart, errors passed on."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from infoplane.capture import MemorySink, Probe, every, watch

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def images(n):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, 1, 8, 8, generator=generator)
    return x, torch.randint(0, 10, (n,), generator=generator)


def weights(model):
    return [value.clone() for value in model.state_dict().values()]


# 2026-11: lightning 2.6 tests for leaves in a way that torch 2.13 deprecates.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec")
class TestLightning:
    def fit(self, callbacks, *, epochs=1, checkpoint=None, fail=False):
        import lightning

        module = example("lightning_digits").Digits
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        model = module()
        if fail:
            model.validation_step = None
            model.training_step = lambda *args: 1 / 0
        data = DataLoader(TensorDataset(*images(48)), batch_size=8, shuffle=True)
        trainer = lightning.Trainer(
            max_epochs=epochs, callbacks=callbacks, accelerator="cpu", logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        check = DataLoader(TensorDataset(*images(48)), batch_size=8)
        trainer.fit(model, data, None if fail else check, ckpt_path=checkpoint)
        return trainer, weights(model), torch.get_rng_state()

    def callback(self, sink, **options):
        from infoplane.integrations.lightning import InfoPlaneCallback

        x, y = images(16)
        return InfoPlaneCallback(Probe(x, y), sink, every=every(2), **options)

    def test_training_is_bit_identical(self):
        sink = MemorySink()
        _, bare, before = self.fit([])
        _, watched, after = self.fit([self.callback(sink)])
        assert all(map(torch.equal, bare, watched))
        assert torch.equal(before, after)
        assert sink.steps == [0, 2, 4, 6]
        assert sink.status == "finished"
        assert sorted(sink.scalars) == list(range(1, 7))
        assert {"loss", "accuracy", "epoch"} <= set(sink.scalars[6])

    def test_a_checkpoint_continues_the_time_axis(self, tmp_path):
        first, second = MemorySink(), MemorySink()
        trainer, *_ = self.fit([self.callback(first)])
        trainer.save_checkpoint(tmp_path / "half.ckpt")
        saved = torch.load(tmp_path / "half.ckpt", weights_only=False)["callbacks"]
        assert {"step": 6} in saved.values()
        self.fit([self.callback(second)], epochs=2, checkpoint=tmp_path / "half.ckpt")
        assert second.info["start"] == 6
        assert second.steps == [6, 8, 10, 12]
        callback = self.callback(MemorySink())
        assert callback.state_dict() == {}
        callback.load_state_dict({"step": 6})
        assert callback._resumed == 6

    def test_an_error_of_the_training_ends_the_run_and_goes_on(self):
        sink = MemorySink()
        with pytest.raises(ZeroDivisionError):
            self.fit([self.callback(sink)], fail=True)
        assert sink.status == "failed"


def test_fabrics_wrappers_are_looked_through():
    from lightning.fabric import Fabric

    model, sink = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh()), MemorySink()
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, optimiser = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1))
    with watch(wrapped, Probe(torch.ones(5, 4)), sink, every=1, optimizer=optimiser):
        fabric.backward(wrapped(torch.ones(2, 4)).sum())
        optimiser.step()
    assert sink.info["unwrapped"] == ["Fabric"]
    assert [layer.name for layer in sink.layers] == ["1"]
    assert sink.steps == [0, 1]


class TestTransformers:
    def train(self, folder, callbacks, *, steps=6, resume=None, save=False):
        from transformers import Trainer, TrainingArguments

        module = example("transformers_text")
        torch.manual_seed(0)
        model = module.bert()
        arguments = TrainingArguments(
            output_dir=str(folder), max_steps=steps, logging_steps=2, report_to=[], use_cpu=True,
            per_device_train_batch_size=8, save_strategy="steps" if save else "no", save_steps=4,
            disable_tqdm=True, seed=0, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(model=model, args=arguments, callbacks=callbacks,
                          train_dataset=module.Sentences(100, seed=0))  # fmt: skip
        trainer.train(resume_from_checkpoint=resume)
        return weights(model), torch.get_rng_state()

    def callback(self, sink):
        from infoplane.integrations.transformers import InfoPlaneCallback

        test = example("transformers_text").Sentences(20, seed=1)
        return InfoPlaneCallback(
            Probe({"input_ids": test.tokens}, test.labels), sink, every=every(2)
        )

    def test_training_is_bit_identical(self, tmp_path):
        sink = MemorySink()
        bare, before = self.train(tmp_path, [])
        watched, after = self.train(tmp_path, [self.callback(sink)])
        assert all(map(torch.equal, bare, watched))
        assert torch.equal(before, after)
        assert sink.steps == [0, 2, 4, 6]
        assert sink.status == "finished"
        assert [step for step in sorted(sink.scalars) if "loss" in sink.scalars[step]] == [2, 4, 6]

    def test_a_checkpoint_continues_the_time_axis(self, tmp_path):
        callback, second = self.callback(MemorySink()), MemorySink()
        assert callback.state_dict() == {}
        self.train(tmp_path, [callback], save=True)
        assert callback.state_dict() == {"step": 6}
        again = self.callback(second)
        again.load_state_dict(callback.state_dict())
        self.train(tmp_path, [again], steps=8, resume=str(tmp_path / "checkpoint-4"))
        assert second.info["start"] == 4
        assert second.steps == [4, 6, 8]
