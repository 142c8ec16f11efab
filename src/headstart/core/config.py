"""Training options: one typed, frozen value that any method takes. `None` means "let the method say"."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headstart.core.card import Frozen


class AugmentConfig(Frozen):
    """What is done to training items, and to batches of them. Each kind of data takes what fits it.

    policy: "none" shows the evaluation view; "light" is a random resized crop and a horizontal flip;
        "randaugment" (Cubuk et al. 2020) and "trivialaugment" (Mueller and Hutter 2021) add to "light".
    scale_min: smallest share of the picture's area that a random crop keeps.
    flip: probability of a horizontal flip; set 0 where left and right differ (digits, text).
    randaugment_ops: operations a picture. randaugment_magnitude: their strength, 0 to 30.
    mixup, cutmix: Beta parameter, 0 is off (Zhang et al. 2018; Yun et al. 2019). With both, each batch draws one.
        Mixup blends pictures and sounds, and of texts and rows their features (Sun et al. 2020); CutMix is for pictures
        and spectrograms.
    word_replace: share of a text's words that a synonym replaces; 0 is off. Of this and the next three (Wei and Zou
        2019), each view of a text draws one that is on, or none; tagged words and texts with answers stay as they are.
    word_insert: synonyms of a text's words that are put anywhere, as a share of its words; 0 is off.
    word_swap: pairs of words that change places, as a share of the words; 0 is off.
    word_delete: share of the words that are left out; 0 is off.
    synonyms: file that replacing and inserting draw from: lines of a word and its synonyms, parted by tabs, or a JSON
        object of lists.
    back_translation: two translation models, names on the hub or folders, parted by a comma, the first from the texts'
        language and the second back into it; each training text is then also shown as it comes back (Sennrich et al.
        2016).
    time_shift: largest shift of a recording in time, as a share of what is heard; silence fills the gap; 0 is off.
    gain: largest change of a recording's loudness, in decibels, either way; 0 is off.
    noise: loudness of added white noise, drawn up to this share of the recording's own (0.1 is 20 dB below); 0 is off.
    mask_bands, mask_frames: widest stretch of frequency, or of time, that is blanked out of a spectrogram, as a share
        (SpecAugment, Park et al. 2019); 0 is off.
    masks: how many stretches of each are blanked out.
    """

    policy: Literal["none", "light", "randaugment", "trivialaugment"] = "light"
    scale_min: float = Field(0.5, gt=0, le=1)
    flip: float = Field(0.5, ge=0, le=1)
    randaugment_ops: int = Field(2, ge=1, le=8)
    randaugment_magnitude: int = Field(9, ge=0, le=30)
    mixup: float = Field(0.0, ge=0)
    cutmix: float = Field(0.0, ge=0)
    word_replace: float = Field(0.0, ge=0, le=1)
    word_insert: float = Field(0.0, ge=0, le=1)
    word_swap: float = Field(0.0, ge=0, le=1)
    word_delete: float = Field(0.0, ge=0, le=1)
    synonyms: str = ""
    back_translation: str = Field("", pattern=r"^$|^[^,\s]+,[^,\s]+$")
    time_shift: float = Field(0.0, ge=0, le=1)
    gain: float = Field(0.0, ge=0, le=40)
    noise: float = Field(0.0, ge=0, le=10)
    mask_bands: float = Field(0.0, ge=0, le=1)
    mask_frames: float = Field(0.0, ge=0, le=1)
    masks: int = Field(2, ge=1, le=10)


class AdversarialConfig(Frozen):
    """Training on worst-case inputs (Goodfellow et al. 2015; Madry et al. 2018; Zhu et al. 2020).

    attack: how the worst case is looked for.
    epsilon: largest change: of a pixel, in the 0..1 range, 2/255 unless said; of anything else (the word vectors of a
        text, the columns of a row, a sound) as a share of the length (L2) of all the numbers of an item, 0.05 unless
        said.
    steps: of pgd and freelb; fgsm takes one.
    step: size of one step; None is 2.5 epsilon / steps (epsilon for one step).
    weight: share of the adversarial loss in the sum.
    """

    attack: Literal["none", "fgsm", "pgd", "freelb"] = "none"
    epsilon: float | None = Field(None, gt=0, le=1)
    steps: int = Field(3, ge=1, le=100)
    step: float | None = Field(None, gt=0)
    weight: float = Field(0.5, ge=0, le=1)


class PretrainConfig(Frozen):
    """Learning from items without their labels, before the method begins (Gururangan et al. 2020).

    epochs: passes over the training items, and those of `data`; 0 is off.
    data: more items of the same kind, whose labels, if any, are not looked at.
    objective: what is learned; "auto" takes what suits the network.
    learning_rate: the highest; left out, 1e-4 for a pretrained network, 1e-3 for one that headstart pretrained, 2e-3
        for random weights.
    batch_size: items a step.
    """

    epochs: int = Field(0, ge=0, le=10_000)
    data: str = ""
    objective: Literal["auto", "masked-tokens", "next-token", "masked-features"] = "auto"
    learning_rate: float | None = Field(None, gt=0, le=1000)
    batch_size: int = Field(32, ge=1, le=65_536)


class TrainConfig(Frozen):
    """How gradients are followed. A field left None takes the method's own default.

    epochs: passes over the training data in all phases together.
    batch_size: items a step; "auto" takes the largest that fits and still gives 10 or more steps an epoch: at most 64,
        16 texts whose words are tagged, 8 questions.
    accumulate: batches whose gradients are summed into one step.
    optimizer: who follows the gradient; "momentum" is SGD with it.
    learning_rate: of the top-most trained layer; "auto" runs a range test (Smith 2017).
    head_learning_rate: of the head, where it differs.
    weight_decay: decoupled decay towards zero (AdamW), L2 for the others.
    momentum: of "momentum".
    schedule: how the learning rate moves from the first step to the last.
    warmup: share of the steps in which the learning rate rises from zero.
    layer_decay: each block below the top gets its learning rate times this (1 is off).
    dropout: share of the pooled features that is dropped before the head while training.
    label_smoothing: probability that is spread over all classes.
    class_weighting: "balanced" weighs each class by the inverse of its frequency.
    clip: largest norm of the gradient; 0 is off.
    l1, l2: factor of the L1 norm and of half the squared L2 norm of trained weights in the loss (both: elastic net).
    metric_term: adds `alpha * R` to the loss, R a differentiable surrogate of a metric.
    metric_alpha: the alpha of `metric_term`.
    monitor: the validation metric that early stopping and the choice of the best weights look at.
    early_stop: evaluations without progress of `monitor` on validation data before training ends; 0 is never. Where
        training began counts for which weights are kept, not for this.
    ema: decay of the running average of weights that is evaluated instead of the weights; 0 is off.
    batchnorm: "train" updates running statistics of trained blocks, "freeze" keeps the source's.
    standardise: a table's numbers by the means and deviations that the source was trained with, or by the target's own,
        over its training items ("per-cohort"): where the two were measured on other scales.
    precision: of the forward pass; "auto" takes bfloat16 where it is faster.
    cached_views: where the first blocks are frozen, how many views of each item are computed up to the first trained
        block, once, and used in turn; 0 computes each view anew.
    checkpoint_seconds: least time between two checkpoints inside an epoch.
    """

    epochs: int | None = Field(None, ge=0, le=10_000)
    batch_size: Annotated[int, Field(ge=1, le=65_536)] | Literal["auto"] = "auto"
    accumulate: int = Field(1, ge=1)
    optimizer: Literal["adamw", "adam", "sgd", "momentum"] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1000)] | Literal["auto"] | None = None
    head_learning_rate: float | None = Field(None, gt=0)
    weight_decay: float | None = Field(None, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    schedule: Literal["cosine", "one-cycle", "constant", "slanted"] | None = None
    warmup: float = Field(0.1, ge=0, lt=1)
    layer_decay: float | None = Field(None, gt=0, le=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weighting: Literal["none", "balanced"] = "none"
    clip: float = Field(1.0, ge=0)
    ema: float = Field(0.0, ge=0, lt=1)
    standardise: Literal["source", "per-cohort"] = "source"
    batchnorm: Literal["train", "freeze"] | None = None
    early_stop: int = Field(5, ge=0)
    monitor: str | None = None
    metric_term: Literal["none", "soft-f1", "soft-precision", "soft-recall"] = "none"
    metric_alpha: float = Field(0.5, ge=0)
    l1: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    cached_views: int = Field(4, ge=0)
    checkpoint_seconds: float = Field(20.0, ge=0)
    augment: AugmentConfig = AugmentConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    pretrain: PretrainConfig = PretrainConfig()
