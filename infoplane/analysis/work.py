"""One job done: all asks of one layer at one step, from arrays to measurements."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infoplane.analysis.checks import Finding, findings, judge_failure, weigh
from infoplane.analysis.doubts_of_information import comparable
from infoplane.analysis.null import has_null, is_cheap, null_values
from infoplane.analysis.plan import (
    AT_LAYER,
    AT_STEP,
    EARLIER,
    OTHERS,
    PREDICTION,
    Ask,
    Job,
    accepted,
    layers_named,
    pairs_target,
    positional,
    takes,
)
from infoplane.analysis.portrait import Context, Portrait, Target, Variables
from infoplane.analysis.uncertainty import Interval, subsampling
from infoplane.estimators import Shared, device
from infoplane.estimators.kept import Origin
from infoplane.estimators.nulls import summarise
from infoplane.estimators.registry import Card, card
from infoplane.estimators.shared import Keeper
from infoplane.estimators.threads import at_most
from infoplane.types import Estimate, Flags, Kind, Measurement, Null, ProbeData, Status, Verdict

_LONGEST = 64  # entries of a list in `info` that are worth keeping beside a number


@dataclass(frozen=True, slots=True)
class Settings:
    """What an evaluation holds fixed: seed, null draws, subsamples, whether costly nulls are drawn.

    With ``subsamples`` > 0, an estimate without an interval of its own gets one by subsampling.
    ``device`` is a torch device for the O(n²) work, None for numpy.
    """

    seed: int = 0
    null: int = 20
    costly_null: bool = False
    subsamples: int = 0
    device: str | None = None


@dataclass(slots=True)
class _Answer:
    """An estimate on its way to becoming a measurement."""

    key: str
    ask: Ask
    card: Card
    target: Target
    settings: Settings
    seconds: float = 0.0
    estimate: Estimate | None = None
    null: Null | None = None
    interval: Interval | None = None
    error: Exception | None = None
    held: tuple[Finding, ...] = ()


class Bench:
    """Does jobs on one run: keeps the probes' variables between jobs.

    Parameters
    ----------
    load
        ``load(step, layer, probe)`` returns the representation (n, d).
    probe
        ``probe(name)`` returns the probe set.
    settings
        Seed and null.
    crc
        ``crc(step, probe)`` identifies a snapshot; needed where parameters name a step.
    keeper
        Keeps arrays with the run; without one they live as long as this process.
    """

    def __init__(
        self,
        load: Callable[[int, str, str], NDArray[Any]],
        probe: Callable[[str], ProbeData],
        settings: Settings,
        *,
        crc: Callable[[int, str], int] | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._load = load
        self._probe = probe
        self._settings = settings
        self._crc = crc
        self._keeper = keeper
        self._variables: dict[str, Variables] = {}

    def variables(self, probe: str) -> Variables:
        """Return the targets of a probe set, made once."""
        if probe not in self._variables:
            self._variables[probe] = Variables(self._probe(probe))
        return self._variables[probe]

    def do(self, job: Job) -> list[Measurement]:
        """Measure everything a job asks; whatever fails becomes a row that says why."""
        try:
            variables = self.variables(job.probe)
            t = self._load(job.step, job.layer, job.probe)
        except Exception as error:
            return [failure(job, key, ask, error) for key, ask in job.asks]
        shared = Shared(t, variables.y_codes, self._keeper, nulls=self._settings.null > 0)
        place = self._settings.device
        with at_most(1), nullcontext() if place is None else device(place):
            answers = [self._answer(key, ask, job, t, variables, shared) for key, ask in job.asks]
        return _judged(job, answers, Portrait(t))

    def _answer(
        self, key: str, ask: Ask, job: Job, t: NDArray[Any], variables: Variables, shared: Shared
    ) -> _Answer:
        entry = card(ask.estimator)
        target = variables.y if ask.target in ("Y", "") else Target(ask.target)
        target = variables.x if ask.target == "X" else target
        answer = _Answer(key, ask, entry, target, self._settings)
        start = time.perf_counter()
        try:
            first = self._arguments(entry, ask, job, t, variables)
            given = {**self._elsewhere(entry, ask, job, variables), "shared": shared}
            rng = self._rng(job, ask, "value")
            answer.estimate = _call(entry, first, ask.params, {**given, "rng": rng})
            answer.seconds = time.perf_counter() - start
            answer.null = self._null(entry, ask, job, first, answer.estimate.value, given)
            # what is fitted elsewhere would be fitted anew in each subsample
            if len(given) == 1 and not layers_named(ask.params):
                answer.interval = self._interval(entry, ask, job, first, answer.estimate)
        except Exception as error:
            answer.seconds = time.perf_counter() - start
            answer.error = error
        return answer

    def _arguments(
        self, entry: Card, ask: Ask, job: Job, t: NDArray[Any], variables: Variables
    ) -> tuple[NDArray[Any], ...]:
        if pairs_target(entry):
            step, layer = job.step, ask.target
            if (earlier := ask.params.get(EARLIER)) is not None:
                step, layer = earlier, job.layer
            load = lambda: self._load(step, layer, job.probe)  # noqa: E731
            continuous = takes(entry, Kind.CONTINUOUS)
            return variables.values(ask.target, continuous=continuous, layer=load), t
        whole: Any = t
        if (others := ask.params.get(OTHERS)) is not None:
            whole = [t, *(self._load(job.step, name, job.probe) for name in others)]
        labelled = (whole, variables.labels) if len(positional(entry.function)) > 1 else (whole,)
        if (last := ask.params.get(PREDICTION)) is not None:
            return *labelled, self._load(job.step, last, job.probe)
        return labelled

    def _elsewhere(
        self, entry: Card, ask: Ask, job: Job, variables: Variables
    ) -> dict[str, Origin | NDArray[Any]]:
        """Return the arrays of other steps and layers that an ask names, by keyword."""
        found: dict[str, Origin | NDArray[Any]] = {
            argument: self._load(job.step, ask.params[name], job.probe)
            for name, argument in AT_LAYER.items()
            if ask.params.get(name) is not None
        }
        for name, argument in AT_STEP.items():
            if (step := ask.params.get(name)) is not None:
                found[argument] = self._origin(entry, ask, replace(job, step=step), variables)
        return found

    def _origin(self, entry: Card, ask: Ask, job: Job, variables: Variables) -> Origin:
        assert self._crc is not None  # asks that name a step are refused where none is stored
        content = [self._crc(job.step, job.probe), job.probe, job.layer]

        def load() -> tuple[NDArray[Any], ...]:
            t = self._load(job.step, job.layer, job.probe)
            return self._arguments(entry, ask, job, t, variables)

        return Origin(json.dumps(content), load, ask.target)

    def _null(
        self,
        entry: Card,
        ask: Ask,
        job: Job,
        arguments: tuple[NDArray[Any], ...],
        value: float,
        given: Mapping[str, Any],
    ) -> Null | None:
        wanted = self._settings.null and (is_cheap(entry) or self._settings.costly_null)
        if not wanted or not pairs_target(entry) or not has_null(entry, ask.target):
            return None
        values = null_values(
            entry,
            arguments[0],
            arguments[1],
            ask.params,
            draws=self._settings.null,
            rng=self._rng(job, ask, "null"),
            given=given,
        )
        return summarise(values, value)

    def _interval(
        self,
        entry: Card,
        ask: Ask,
        job: Job,
        arguments: tuple[NDArray[Any], ...],
        estimate: Estimate,
    ) -> Interval | None:
        if not self._settings.subsamples or estimate.low is not None:
            return None
        two = pairs_target(entry) or len(arguments) == 1
        if not two or not is_cheap(entry):
            return None
        return subsampling(
            entry.id,
            arguments[0] if len(arguments) > 1 else None,
            arguments[-1],
            draws=self._settings.subsamples,
            rng=self._rng(job, ask, "subsamples"),
            params=ask.params,
        )

    def _rng(self, job: Job, ask: Ask, purpose: str) -> np.random.Generator:
        """Return a private stream decided by what is measured, not by who does it or when.

        A training done again from the same seeds so gives the same nulls and intervals too.
        """
        text = repr((job.probe, job.step, job.layer, ask.target, ask.label, purpose))
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return np.random.default_rng([self._settings.seed, int.from_bytes(digest, "big")])


def _call(
    entry: Card,
    arguments: tuple[NDArray[Any], ...],
    params: Mapping[str, Any],
    given: Mapping[str, Any],
) -> Estimate:
    assert entry.function is not None
    taken = {name: given[name] for name in given.keys() & accepted(entry.function)}
    return entry.function(*arguments, **params, **taken)


def _judged(job: Job, answers: list[_Answer], portrait: Portrait) -> list[Measurement]:
    """Judge each answer on its own, then those about the same target against the sound ones."""
    sound: dict[str, dict[str, float]] = {}
    for answer in answers:
        if answer.estimate is None:
            continue
        context = Context(portrait, answer.target)
        answer.held = findings(answer.estimate, answer.card, answer.null, context)
        if comparable(answer.card) and not answer.held:
            sound.setdefault(answer.ask.target, {})[answer.ask.label] = answer.estimate.value
    for answer in answers:
        others = sound.get(answer.ask.target, {}).items()
        peers = {label: value for label, value in others if label != answer.ask.label}
        if peers and answer.estimate is not None:
            context = Context(portrait, answer.target, peers)
            answer.held = findings(answer.estimate, answer.card, answer.null, context)
    return [_measurement(job, answer, portrait) for answer in answers]


def _measurement(job: Job, answer: _Answer, portrait: Portrait) -> Measurement:
    estimate = answer.estimate
    if estimate is None or answer.error is not None:
        return failure(job, answer.key, answer.ask, answer.error, seconds=answer.seconds)
    verdict, reason = weigh(answer.held)
    interval = answer.interval
    drawn: dict[str, Any] = {} if interval is None else {"interval": interval.covers}
    if answer.null is not None or interval is not None or not answer.card.deterministic:
        drawn["seed"] = answer.settings.seed
    if answer.settings.device is not None:
        drawn["device"] = answer.settings.device
    return Measurement(
        key=answer.key,
        step=job.step,
        layer=job.layer,
        quantity=answer.card.quantity.value,
        target=answer.ask.target,
        estimator=answer.ask.estimator,
        version=answer.ask.version,
        params=dict(answer.ask.params),
        value=estimate.value,
        stderr=estimate.stderr if interval is None else interval.stderr,
        low=estimate.low if interval is None else interval.low,
        high=estimate.high if interval is None else interval.high,
        null=answer.null,
        ceiling=estimate.ceiling,
        verdict=verdict,
        reason=reason,
        flags=estimate.flags,
        n=estimate.n or portrait.n,
        d=estimate.d or portrait.d,
        seconds=answer.seconds,
        status=estimate.status,
        unit=answer.card.unit,
        info={
            **_plain(estimate.info),
            **drawn,
            "checks": [finding.rule for finding in answer.held],
        },
        probe=job.probe,
    )


def failure(
    job: Job, key: str, ask: Ask, error: Exception | None, *, seconds: float = 0.0
) -> Measurement:
    """Return the row of a measurement that has no value, with the reason in plain words."""
    entry = card(ask.estimator)
    rule, sentence = judge_failure(error)
    return Measurement(
        key=key,
        step=job.step,
        layer=job.layer,
        quantity=entry.quantity.value,
        target=ask.target,
        estimator=ask.estimator,
        version=ask.version,
        params=dict(ask.params),
        value=None,
        verdict=Verdict.NOT_USABLE,
        reason=sentence,
        flags=Flags([rule]),
        seconds=seconds,
        status=Status.FAILED,
        note=f"{type(error).__name__}: {error}",
        unit=entry.unit,
        info={"checks": [rule]},
        probe=job.probe,
    )


def _plain(value: Any) -> Any:
    """Keep of an estimator's ``info`` what fits on a journal line: numbers, text, short lists."""
    if isinstance(value, Mapping):
        kept = {str(key): _plain(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        value = value.tolist() if value.size <= _LONGEST else None
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST:
        return [_plain(item) for item in value]
    return None
