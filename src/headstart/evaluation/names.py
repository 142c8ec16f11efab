"""Metrics in words: how they are called on a page, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricName:
    """title: as shown. meaning: one plain sentence. higher: larger is better. share: lies between 0 and 1."""

    title: str
    meaning: str
    higher: bool = True
    share: bool = True


METRIC_NAMES: dict[str, MetricName] = {
    "accuracy": MetricName("Accuracy", "Share of items that are right."),
    "balanced_accuracy": MetricName(
        "Balanced accuracy", "Share right in each class, averaged: rare classes count as much."
    ),
    "precision_macro": MetricName(
        "Precision (macro)", "How often a predicted class is the true one, averaged over classes."
    ),
    "recall_macro": MetricName("Recall (macro)", "How much of each class is found, averaged over classes."),
    "f1_macro": MetricName("F1 (macro)", "Balance of precision and recall, averaged over classes."),
    "f1_micro": MetricName("F1 (micro)", "Balance of precision and recall over all decisions together."),
    "span_f1": MetricName(
        "Entity F1", "Balance of precision and recall of whole entities: their type and both ends are right."
    ),
    "span_f1_strict": MetricName("Entity F1 (strict)", "The same of entities that are tagged exactly by their scheme."),
    "span_f1_macro": MetricName("Entity F1 (macro)", "Entity F1, averaged over the types of entity."),
    "span_precision": MetricName("Entity precision", "How often an entity that was found is one."),
    "span_recall": MetricName("Entity recall", "How many of the entities are found."),
    "span_precision_macro": MetricName("Entity precision (macro)", "Entity precision, averaged over the types."),
    "span_recall_macro": MetricName("Entity recall (macro)", "Entity recall, averaged over the types."),
    "answer_f1": MetricName("Answer F1", "How many words the answer and the right one share (SQuAD's F1)."),
    "exact_match": MetricName("Exact match", "Share of answers that are right word for word."),
    "roc_auc": MetricName("ROC-AUC", "How often an item of a class scores above one of another class."),
    "log_loss": MetricName("Log loss", "Surprise at the right answer; confident mistakes cost most.", False, False),
    "ece": MetricName(
        "Calibration error", "Gap between stated confidence and how often it is right (ECE, 15 bins).", False
    ),
    "subset_accuracy": MetricName("Subset accuracy", "Share of items with every label right."),
    "map": MetricName("Mean average precision", "How well items with a label are ranked first, averaged over labels."),
    "hamming": MetricName("Hamming loss", "Share of single labels that are wrong.", False),
    "mse": MetricName("Mean squared error", "Average squared error.", False, False),
    "mae": MetricName("Mean absolute error", "Average distance to the true number, in your units.", False, False),
    "rmse": MetricName("Root mean squared error", "Typical error, in your units; large ones count more.", False, False),
    "r2": MetricName("R²", "Share of the variation explained; 0 is as good as always saying the mean.", True, False),
}


def metric_name(key: str) -> MetricName:
    """The name of a metric; one that a third party added is shown as its key."""
    return METRIC_NAMES.get(key, MetricName(key, "", share=False))
