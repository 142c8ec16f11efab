"""Geodesic flow kernel: similarity over all subspaces on the way from the source's to the target's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headstart.methods.adaptation.shallow.base import Domain, Transform, require_above
from headstart.methods.adaptation.shallow.shared import principal_axes


@dataclass(eq=False)
class GFK(Transform):
    """Rows x become x G^(1/2), so that their inner products are x G y' = integral_0^1 <x Phi(t), y Phi(t)> dt.

    Phi(t) = P U cos(t theta) + Q sin(t theta) is the shortest way between the principal subspaces, with principal
    angles theta from P_s'P_t = U cos(theta) V' and Q the part of P_t V that is orthogonal to P_s, at unit length. For
    an angle the integral is [[1 + sin(2 theta) / 2 theta, (1 - cos(2 theta)) / 2 theta], [the same, 1 - sin(2 theta) /
    2 theta]] / 2, whose root is taken. Domains lose their means. components: axes of each domain, as many as the poorer
    one has at most. Returns two columns an axis.
    """

    name = "gfk"
    paper = "Gong et al. 2012, Geodesic flow kernel for unsupervised domain adaptation"

    components: int = 20

    def _fit(self, source: np.ndarray, target: np.ndarray, labels: np.ndarray | None) -> None:
        require_above(0, components=self.components)
        self.mean_ = {"source": source.mean(axis=0), "target": target.mean(axis=0)}
        first, last = (principal_axes(rows, self.components) for rows in (source, target))
        common = min(first.shape[1], last.shape[1])
        u, cosines, v = np.linalg.svd(first[:, :common].T @ last[:, :common])
        start, end = first[:, :common] @ u, last[:, :common] @ v.T
        sideways = end - start * cosines
        sines = np.linalg.norm(sideways, axis=0)
        sideways = np.divide(sideways, sines, out=np.zeros_like(sideways), where=sines > 1e-8)
        twice = 2 * np.arctan2(sines, cosines)
        even = np.sinc(twice / np.pi)
        cross = np.divide(1 - np.cos(twice), twice, out=np.zeros_like(twice), where=twice > 1e-8)
        blocks = np.moveaxis(np.array([[1 + even, cross], [cross, 1 - even]]) / 2, -1, 0)
        values, vectors = np.linalg.eigh(blocks)
        roots = vectors * np.sqrt(np.maximum(values, 0))[:, None]  # (d, 2, 2): block = root root'
        pairs = np.stack([start, sideways])
        self.axes_ = np.einsum("adi,iab->dib", pairs, roots).reshape(len(start), -1)

    def _transform(self, rows: np.ndarray, domain: Domain) -> np.ndarray:
        moved: np.ndarray = (rows - self.mean_[domain]) @ self.axes_
        return moved
