"""Metrics for Prometheus, in a registry of our own: two servers in one process do not meet."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar, cast

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets for durations of requests."""
_log = structlog.get_logger("moorage.metrics")


class Series:
    """One combination of label values of a `LoopHistogram`."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, amount: float) -> None:
        """Count one."""
        self.counts[bisect_left(self._bounds, amount)] += 1
        self.total += amount


class LoopHistogram(Collector):
    """A histogram that only the event loop's thread observes, so it needs no locks.

    prometheus_client's own takes two for every number: 2 µs on each request.
    """

    def __init__(self, name: str, doc: str, labels: Sequence[str], buckets: Sequence[float]) -> None:
        self._name, self._doc, self._labels = name, doc, tuple(labels)
        self.bounds = tuple(map(float, buckets))
        self._series: dict[tuple[str, ...], Series] = {}

    def labels(self, *values: str) -> Series:
        """The series for these label values; keep it where it is used often."""
        return self._series.setdefault(values, Series(self.bounds))

    @property
    def count(self) -> int:
        """How many were observed in all."""
        return sum(sum(series.counts) for series in self._series.values())

    def counts(self) -> list[tuple[tuple[str, ...], list[int]]]:
        """(label values, how many fell into each bucket) of all series; the lists go on counting."""
        return [(values, series.counts) for values, series in self._series.items()]

    def describe(self) -> Iterable[Metric]:
        """The metric without numbers."""
        return [HistogramMetricFamily(self._name, self._doc, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """The metric as Prometheus reads it."""
        family = HistogramMetricFamily(self._name, self._doc, labels=self._labels)
        for values, series in self._series.items():
            upto = itertools.accumulate(series.counts)
            buckets = list(zip((*map(repr, self.bounds), "+Inf"), upto, strict=True))
            family.add_metric(values, buckets, series.total)
        return [family]


_Metric = Counter | Gauge | Histogram | LoopHistogram
_Known = tuple[_Metric, tuple[str, ...]]
_M = TypeVar("_M", Counter, Gauge, Histogram, LoopHistogram)


class ScopedMetrics:
    """A part's view of the metrics, whose names begin with `moorage_<part>_`.

    Names are written without that prefix (a name that has it already is taken as it is). Asking for a metric that
    exists gives the same object, so that a plugin that is loaded again goes on counting; ValueError if its kind or
    labels differ. Labels must have few values: a route's template, never a path, a user or an id.
    """

    def __init__(self, prefix: str, registry: CollectorRegistry, metrics: dict[str, _Known]) -> None:
        self._prefix, self._registry, self._metrics = prefix, registry, metrics

    def counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows; its name ends in `_total`."""
        return self._get(Counter, name, labels, lambda full: Counter(full, doc, labels, registry=self._registry))

    def gauge(self, name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down."""
        return self._get(Gauge, name, labels, lambda full: Gauge(full, doc, labels, registry=self._registry))

    def histogram(
        self, name: str, doc: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """A distribution; `buckets` are upper bounds, in the unit that the name ends with."""
        return self._get(
            Histogram, name, labels, lambda full: Histogram(full, doc, labels, registry=self._registry, buckets=buckets)
        )

    def loop_histogram(
        self, name: str, doc: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = SECONDS
    ) -> LoopHistogram:
        """As `histogram`, for what only the event loop observes, and often."""

        def make(full: str) -> LoopHistogram:
            made = LoopHistogram(full, doc, labels, buckets)
            self._registry.register(made)
            return made

        return self._get(LoopHistogram, name, labels, make)

    def scoped(self, part: str) -> ScopedMetrics:
        """A narrower view; a hyphen in the part's name becomes `_`."""
        return ScopedMetrics(f"{self._prefix}{part.replace('-', '_')}_", self._registry, self._metrics)

    def _get(self, kind: type[_M], name: str, labels: Sequence[str], make: Callable[[str], _M]) -> _M:
        full = name if name.startswith(self._prefix) else self._prefix + name
        known = self._metrics.get(full)
        if known is None:
            metric = make(full)
            self._metrics[full] = (metric, tuple(labels))
            return metric
        if not isinstance(known[0], kind) or known[1] != tuple(labels):
            raise ValueError(f"metric {full} exists already with another kind or other labels")
        return known[0]


class _Readable:
    """Those of the metrics that can be read: a plugin's gauge may ask something that is gone."""

    def __init__(self, metrics: Iterable[Collector]) -> None:
        self._collectors = metrics

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told."""
        for metric in self._collectors:
            try:
                found = list(metric.collect())
            except Exception:
                _log.exception("metric could not be read", metric=getattr(metric, "_name", type(metric).__name__))
            else:
                yield from found


class Metrics(ScopedMetrics):
    """All metrics of one server; names begin with `moorage_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        super().__init__("moorage_", self.registry, {})
        kinds = (ProcessCollector, PlatformCollector, GCCollector)
        self._process: list[Collector] = [kind(registry=self.registry) for kind in kinds]

    def describe(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """(name, kind, description, labels) of each metric of ours, by name: for the generated reference."""
        found = []
        for name, (metric, labels) in sorted(self._metrics.items()):
            family = next(iter(metric.describe()))
            found.append((name, family.type, family.documentation, labels))
        return found

    def render(self) -> tuple[bytes, str]:
        """Everything in the text format, and its content type. A metric that cannot be read is logged and left out."""
        readable = _Readable([*self._process, *(metric for metric, _ in self._metrics.values())])
        return generate_latest(cast("CollectorRegistry", readable)), CONTENT_TYPE_LATEST
