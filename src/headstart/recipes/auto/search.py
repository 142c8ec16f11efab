"""The planner at work: a valid model first, then one move after the other, each kept only on evidence.

Candidates are trained without sight of the validation items; how those are asked is in `judge`. Test items are not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.core.config import AugmentConfig, TrainConfig
from headstart.core.errors import ArtifactError, ConfigError
from headstart.core.method import Choice
from headstart.core.progress import Progress
from headstart.core.source import Source
from headstart.core.types import Rows
from headstart.data.dataset import Role
from headstart.data.loader import Batches
from headstart.features.bank import FeatureBank
from headstart.features.store import FeatureStore
from headstart.methods import make_method
from headstart.methods.finetune.probe import balance, in_output_units
from headstart.nn.freeze import weighted_blocks
from headstart.nn.linear import LinearFit, fit_linear
from headstart.nn.model import Model
from headstart.recipes import folder
from headstart.recipes.auto.judge import Candidate, Judge
from headstart.recipes.auto.plan import LINEAR, OVERHEAD, Known, Move, choose
from headstart.recipes.fitted import Fitted, Member, final_logits
from headstart.recipes.models import make_loop, new_model
from headstart.recipes.prepare import ROLES, Part, Target
from headstart.recipes.price import Price, price
from headstart.recipes.recipe import Recipe
from headstart.training.loop import TrainingLoop, require_monitor
from headstart.training.objective import require_fitting

PLAN = "plan.json"
PATIENT = 30.0
"""Seconds that must be left before another source is looked at: to price it takes a few."""
STEP_RATIO = 4.5
"""Of a training step to a forward pass, until one was seen."""
RANDOM_SHARE = 0.8
"""Of a forward pass: what an item costs in a random network, at half the resolution but in float32."""
PUBLISHING = 1.5
"""Seconds of judging and of writing the run."""
MARGIN = 1.1
"""By how much a move may outlast what is expected of it."""


@dataclass
class Entrant:
    """A source in the search. target: with the parts as this source is shown them. seen: what it has cost so far."""

    source: Source
    target: Target
    bank: FeatureBank
    seen: Price | None = None

    @property
    def name(self) -> str:
        return self.source.card.name

    @property
    def price(self) -> Price:
        """Seconds an item: as seen in this search, else as measured once on this machine."""
        return self.seen or self._measured

    @cached_property
    def _measured(self) -> Price:
        return price(self.source, self.target.parts["train"].batches, self.bank, FeatureStore())

    @cached_property
    def half(self) -> int:
        """Blocks in the upper half of the network."""
        return max(1, len(weighted_blocks(Model(self.bank.encoder, 1))) // 2)


@dataclass
class Story:
    """What was tried so far; written down before and after each move, so that a killed search can go on."""

    place: Path
    moves: list[Move] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)
    spent: float = 0.0
    over: bool = False

    @classmethod
    def read(cls, place: Path) -> Story:
        """What an earlier process left, else a new story. Raises ArtifactError for one that is damaged."""
        try:
            found = json.loads((place / PLAN).read_text(encoding="utf-8"))
            moves = [Move.model_validate(move) for move in found["moves"]]
            return cls(place, moves, [], float(found["spent"]), bool(found["over"]))
        except FileNotFoundError:
            return cls(place)
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{place / PLAN} is damaged ({error}). Fit again with --overwrite.") from None

    def write(self) -> None:
        moves = [move.model_dump(mode="json") for move in self.moves]
        folder.write_json(self.place / PLAN, {"moves": moves, "spent": self.spent, "over": self.over})


class Search:
    """Finds what `fit --method auto` ships.

    entrants: the sources that may be used, the first of them first; a function makes the others when they are wanted.
    plan: what is tried first. deadline: of the whole run, by `time.perf_counter`; None tries the plan and nothing else.
    """

    def __init__(
        self,
        recipe: Recipe,
        first: Entrant,
        others: Sequence[Callable[[], Entrant]],
        place: Path,
        *,
        plan: Sequence[Move],
        deadline: float | None,
        record: Callable[[dict[str, Any]], None],
        progress: Progress,
    ) -> None:
        validation = first.target.parts["validation"]
        require_monitor(first.target.task, recipe.train, validation.targets, validation.units)
        require_fitting(first.target.task, recipe.train, first.source.card.input)
        self._recipe = recipe
        self._entrants = {first.name: first}
        self._first = first
        self._others = list(others)
        self._place = place
        self._plan = list(plan)
        self._deadline = deadline
        self._record = record
        self._progress = progress
        self._story = Story(place)
        self._champion: Candidate | None = None
        self._tuned: dict[str, list[Candidate]] = {}
        self._judge = Judge(first.target.task, first.target.parts, recipe.train.monitor)
        self._choices: list[Choice] = []

    @property
    def moves(self) -> tuple[Move, ...]:
        """What was tried, for the recipe: done again in this order, it ends in the same model."""
        return tuple(self._story.moves)

    @property
    def encoded(self) -> int:
        """Items that went through frozen encoders."""
        return sum(entrant.bank.encoded for entrant in self._entrants.values())

    def run(self) -> Fitted:
        """Search until the time is over, nothing worthwhile is left, or the user interrupts; the best so far."""
        earlier = Story.read(self._place)
        replayed = [*self._plan, *earlier.moves[len(self._plan) :]]
        self._story.spent = earlier.spent
        if self._deadline is not None:
            self._deadline -= earlier.spent
        try:
            for move in replayed:
                if self._champion is None or self._items("validation"):
                    self._try(move)
            while self._deadline is not None and not earlier.over and (next_move := self._next()) is not None:
                self._try(next_move)
        except KeyboardInterrupt:
            if self._champion is None:
                raise
            self._progress.say(
                "interrupted: the best model so far is being judged and saved. Press Ctrl-C again to stop at once."
            )
        self._story.over = True
        self._story.write()
        return self._fitted()

    def _next(self) -> Move | None:
        """What to try in the time that is left."""
        if self._champion is None:
            return Move(kind="probe", sources=(self._first.name,))
        if not self._items("validation"):
            return None  # nothing could tell whether it is better
        while self._others and self._left() > PATIENT:
            self._admit()
        known = Known(
            prices={name: entrant.price for name, entrant in self._entrants.items()},
            items={role: self._items(role) for role in ROLES},
            halves={name: entrant.half for name, entrant in self._entrants.items()},
            champion=self._champion.move,
            tried=tuple(self._story.moves),
            kept=tuple(self._story.kept),
        )
        found = choose(known, self._left() / MARGIN)
        return found.move if found else None

    def _admit(self) -> None:
        entrant = self._others.pop(0)()
        self._entrants[entrant.name] = entrant

    def _left(self) -> float:
        """Seconds for further moves: what comes after them, on test items and baselines, is set aside."""
        return self._until() - self._afterwards(RANDOM_SHARE)

    def _until(self) -> float:
        assert self._deadline is not None
        return self._deadline - time.perf_counter()

    def _afterwards(self, random_share: float) -> float:
        encode = self._first.price.encode
        if self._recipe.verdict == "none":
            return self._items("test") * encode + PUBLISHING
        everything = sum(self._items(role) for role in ROLES)
        return self._items("test") * encode + everything * encode * random_share + 2 * LINEAR + PUBLISHING

    @property
    def can_afford_a_random_network(self) -> bool:
        """Whether the budget has room for the baseline that costs most."""
        return self._deadline is None or self._until() > self._afterwards(RANDOM_SHARE) - self._afterwards(0.0)

    def _items(self, role: Role) -> int:
        return len(self._first.target.parts[role])

    # -- one move ----------------------------------------------------------------------------------------------

    def _try(self, move: Move) -> None:
        started = time.perf_counter()
        self._progress.stage(f"trying {move}")
        self._story.moves.append(move)
        self._story.write()
        try:
            candidate: Candidate | None = self._make(move)
            trouble = ""
        except (ConfigError, MemoryError, torch.OutOfMemoryError) as error:
            if self._champion is None:
                raise
            candidate, trouble = None, str(error)
        except KeyboardInterrupt:
            self._story.moves.pop()
            self._story.write()
            raise
        kept, why = (False, trouble) if candidate is None else self._judge(self._champion, candidate)
        seconds = time.perf_counter() - started
        if candidate is not None and move.kind == "tune":
            self._tuned.setdefault(move.sources[0], []).append(candidate)
        if candidate is not None and kept:
            self._champion = candidate
        score = float("nan") if candidate is None else self._judge.score(candidate)
        self._choices.append(Choice(str(move), score, kept, {"seconds": round(seconds, 1), "why": why}))
        self._story.kept.append(kept)
        self._story.spent += seconds
        self._learn(move, seconds)
        self._story.write()

    def _learn(self, move: Move, seconds: float) -> None:
        """What a source costs here and now, from what it has just cost."""
        if self._deadline is None:
            return
        entrant = self._entrants[move.sources[0]]
        if move.kind == "probe" and entrant.bank.encoded > self._items("train") / 2:
            encode = max(seconds - LINEAR, 0.2 * seconds) / entrant.bank.encoded
            entrant.seen = Price(encode, STEP_RATIO * encode, 0.0)
        elif move.kind == "tune" and move.method != "partial" and move.epochs:
            step = max(seconds - OVERHEAD, 0.2 * seconds) / (move.epochs * self._items("train"))
            entrant.seen = replace(entrant.price, train=step)

    def _make(self, move: Move) -> Candidate:
        match move.kind:
            case "probe" | "joint":
                return self._linear(move)
            case "soup":
                return self._soup(move)
        entrant = self._entrant(move.sources[0])
        loop = self._loop(entrant, _config(self._recipe.train, move))
        make_method(move.method, move.options).fit(loop.model, loop)
        return self._candidate(move, entrant, loop)

    def _entrant(self, name: str) -> Entrant:
        while name not in self._entrants and self._others:
            self._admit()
        if name not in self._entrants:
            raise ArtifactError(f"the plan names the source {name}, which is not on this machine any more.")
        return self._entrants[name]

    def _loop(self, entrant: Entrant, config: TrainConfig) -> TrainingLoop:
        """A new model of a source, in a loop that sees training items only."""
        parts = entrant.target.parts
        blind = replace(entrant.target, parts={**parts, "validation": _none_of(parts["train"])})
        return make_loop(
            new_model(entrant.source, entrant.target, self._recipe.seed, pretrained=True),
            blind,
            config,
            self._recipe.seed,
            self._place / "checkpoints" / f"{len(self._story.moves) - 1:02d}",
            precision=entrant.bank.precision,
            bank=entrant.bank,
            record=self._record,
            progress=self._progress,
        )

    def _candidate(self, move: Move, entrant: Entrant, loop: TrainingLoop) -> Candidate:
        member = Member(loop.model, entrant.source.card, entrant.target.parts, loop.precision)

        def answer(role: Role) -> np.ndarray:
            return final_logits(loop, entrant.bank, role, entrant.target.parts[role])

        return Candidate(move, (member,), answer, answer("validation"), loop=loop)

    def _linear(self, move: Move) -> Candidate:
        """One linear head on the features of one source, or of several side by side, which sums a head for each.

        The penalty sees a source's features by their number, so that a wide source is heard most; or, where that makes
        held-out losses lower, every source alike.
        """
        entrants = [self._entrant(name) for name in move.sources]
        task, train = self._first.target.task, self._first.target.parts["train"]
        wanted = in_output_units(task, train.targets)
        widths = [entrant.bank.encoder.width for entrant in entrants]

        def side_by_side(role: Role) -> Rows:
            rows = [entrant.bank(role) for entrant in entrants]
            return rows[0] if len(rows) == 1 else np.concatenate([each[:] for each in rows], axis=1)

        def fitted(say: np.ndarray | None) -> LinearFit:
            return fit_linear(
                features,
                wanted,
                task.kind,
                len(task.outputs),
                groups=train.groups,
                weights=balance(self._recipe.train, task, train.targets),
                say=say,
                seed=self._recipe.seed,
            )

        features = side_by_side("train")
        fit = fitted(None)
        if len(set(widths)) > 1 and fit.curve:
            alike = fitted(np.repeat([(sum(widths) / len(widths) / width) ** 0.5 for width in widths], widths))
            fit = min(fit, alike, key=lambda found: found.curve[found.strength])
        members, start = [], 0
        for entrant, width in zip(entrants, widths, strict=True):
            model = new_model(entrant.source, entrant.target, self._recipe.seed, pretrained=True)
            with torch.no_grad():
                model.head.weight.copy_(torch.from_numpy(fit.weight[:, start : start + width]))
                model.head.bias.copy_(torch.from_numpy(fit.bias if start == 0 else 0 * fit.bias))
            members.append(Member(model, entrant.source.card, entrant.target.parts, entrant.bank.precision))
            start += width

        def answer(role: Role) -> np.ndarray:
            return fit.logits(side_by_side(role))

        return Candidate(move, tuple(members), answer, answer("validation"), fit)

    def _soup(self, move: Move) -> Candidate:
        """The mean of the weights of every fine-tuned network of a source (Wortsman et al. 2022)."""
        entrant = self._entrant(move.sources[0])
        states = [candidate.members[0].model.state_dict() for candidate in self._tuned[entrant.name]]
        loop = self._loop(entrant, self._recipe.train)

        def mean(name: str, like: torch.Tensor) -> torch.Tensor:
            return torch.stack([s[name].to(like.device, torch.float64) for s in states]).mean(0).to(like.dtype)

        def average() -> None:
            loop.model.load_state_dict({name: mean(name, like) for name, like in loop.model.state_dict().items()})

        loop.step("soup", average)
        return self._candidate(move, entrant, loop)

    def _fitted(self) -> Fitted:
        best = self._champion
        assert best is not None
        name = {"probe": "probe", "joint": "joint-probe", "soup": "soup"}.get(best.move.kind, best.move.method)
        heads = sum(p.numel() for member in best.members for p in member.model.head.parameters())
        return Fitted(
            method=name,
            members=best.members,
            logits={"validation": best.validation, "test": best.answer("test")},
            history=best.loop.history if best.loop else [],
            notes=best.notes,
            parameters_trained=(best.loop.parameters_trained if best.loop else 0) or heads,
            choices=tuple(self._choices),
        )


def _none_of(part: Part) -> Part:
    """A part without items, in the form of another."""
    dataset, units = part.dataset.take([]), None if part.units is None else part.units.take([])
    batches = Batches(dataset, None, part.batches.contract)
    return Part(dataset, batches, part.targets[:0], None, (), part.given.take([]), (), units)


def _config(train: TrainConfig, move: Move) -> TrainConfig:
    """The user's training options, with those of the move where the user left them open."""
    untouched = AugmentConfig()
    augment = {
        name: value
        for name, value in ((key.removeprefix("augment."), value) for key, value in move.train.items())
        if getattr(train.augment, name) == getattr(untouched, name)
    }
    epochs = move.epochs if train.epochs is None else train.epochs
    return train.model_copy(update={"epochs": epochs, "augment": train.augment.model_copy(update=augment)})
