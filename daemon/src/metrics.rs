//! Figures about a running process: counters, gauges and histograms with labels and HELP text.
//!
//! Always true: updating one is a relaxed atomic and takes no lock (keep the `Arc`, do not look
//! it up each time); a family keeps a limited number of label sets, and what comes beyond goes
//! to one series labelled `overflow`. Called by all rooms that count; read by `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

/// Label sets that one family keeps, after RocketMQ's `metricsOtelCardinalityLimit`, made smaller:
/// one scrape must stay a few MiB.
pub const SERIES_MAX: usize = 10_000;

/// A figure that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// The total since the start.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A figure that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// Moves it.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Relaxed);
    }

    /// Its present value.
    pub fn value(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Observations counted in buckets.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, ascending; an unbounded bucket comes last.
    bounds: Box<[u64]>,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &[u64]) -> Self {
        assert!(bounds.is_sorted(), "histogram bounds ascend");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds: bounds.into(), counts, sum: AtomicU64::new(0) }
    }

    /// Counts one observation.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
}

type Read = Box<dyn Fn() -> f64 + Send + Sync>;

enum Series {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
    Read(Read),
}

struct Family {
    help: &'static str,
    kind: &'static str,
    series: BTreeMap<String, Series>,
}

/// All figures of a process, or of one broker in it.
#[derive(Default)]
pub struct Metrics {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("families", &self.families.lock().len()).finish()
    }
}

impl Metrics {
    /// No figures yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels, made at the first call.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Arc<Counter> {
        self.series(
            name,
            help,
            "counter",
            labels,
            || Series::Counter(Arc::default()),
            |series| match series {
                Series::Counter(counter) => Some(Arc::clone(counter)),
                _ => None,
            },
        )
    }

    /// The gauge of this name and these labels, made at the first call.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Arc<Gauge> {
        self.series(
            name,
            help,
            "gauge",
            labels,
            || Series::Gauge(Arc::default()),
            |series| match series {
                Series::Gauge(gauge) => Some(Arc::clone(gauge)),
                _ => None,
            },
        )
    }

    /// The histogram of this name and these labels, made at the first call with these bounds.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds: &[u64],
    ) -> Arc<Histogram> {
        let make = || Series::Histogram(Arc::new(Histogram::new(bounds)));
        self.series(name, help, "histogram", labels, make, |series| match series {
            Series::Histogram(histogram) => Some(Arc::clone(histogram)),
            _ => None,
        })
    }

    /// A gauge that is read when somebody looks. `read` must not look at these metrics itself.
    pub fn gauge_read(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let mut families = self.families.lock();
        let family = family(&mut families, name, help, "gauge");
        if family.series.len() < SERIES_MAX {
            family.series.insert(label_text(labels), Series::Read(Box::new(read)));
        }
    }

    /// Forgets every series of a family that carries this label, for a topic or group that is gone.
    pub fn forget(&self, name: &str, label: (&str, &str)) {
        let wanted = label_text(&[label]);
        // A quote inside a value is escaped, so `",` only ever ends a label.
        let carries = |labels: &str| {
            labels.split_inclusive("\",").any(|one| one.strip_suffix(',').unwrap_or(one) == wanted)
        };
        if let Some(family) = self.families.lock().get_mut(name) {
            family.series.retain(|labels, _| !carries(labels));
        }
    }

    fn series<T>(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &[(&str, &str)],
        make: impl FnOnce() -> Series,
        pick: impl FnOnce(&Series) -> Option<Arc<T>>,
    ) -> Arc<T> {
        let mut families = self.families.lock();
        let family = family(&mut families, name, help, kind);
        let mut labels = label_text(labels);
        if family.series.len() >= SERIES_MAX && !family.series.contains_key(&labels) {
            labels = label_text(&[("overflow", "true")]);
        }
        let series = family.series.entry(labels).or_insert_with(make);
        // `family` asserted the kind, and each kind holds one sort of series.
        pick(series).unwrap_or_else(|| unreachable!("{name} is a {kind}"))
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families.lock().iter() {
            let _ =
                writeln!(text, "# HELP {name} {}\n# TYPE {name} {}", escape_help(family.help), family.kind);
            for (labels, series) in &family.series {
                render_series(&mut text, name, labels, series);
            }
        }
        text
    }
}

fn family<'a>(
    families: &'a mut BTreeMap<&'static str, Family>,
    name: &'static str,
    help: &'static str,
    kind: &'static str,
) -> &'a mut Family {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    assert!(
        name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty(),
        "{name:?} is no metric name"
    );
    let family = families.entry(name).or_insert_with(|| Family { help, kind, series: BTreeMap::new() });
    assert_eq!(family.kind, kind, "{name} is registered as {}", family.kind);
    family
}

fn render_series(text: &mut String, name: &str, labels: &str, series: &Series) {
    let _ = match series {
        Series::Counter(counter) => writeln!(text, "{name}{} {}", braced(labels), counter.value()),
        Series::Gauge(gauge) => writeln!(text, "{name}{} {}", braced(labels), gauge.value()),
        Series::Read(read) => writeln!(text, "{name}{} {}", braced(labels), read()),
        Series::Histogram(histogram) => {
            render_histogram(text, name, labels, histogram);
            Ok(())
        }
    };
}

fn render_histogram(text: &mut String, name: &str, labels: &str, histogram: &Histogram) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut total = 0;
    for (at, count) in histogram.counts.iter().enumerate() {
        total += count.load(Relaxed);
        let bound = histogram.bounds.get(at).map_or_else(|| "+Inf".to_owned(), u64::to_string);
        let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}");
    }
    let sum = histogram.sum.load(Relaxed);
    let _ = writeln!(text, "{name}_sum{0} {sum}\n{name}_count{0} {total}", braced(labels));
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn label_text(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

fn escape_help(help: &str) -> String {
    help.replace('\\', "\\\\").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rendered_as_prometheus_reads_them() {
        let metrics = Metrics::new();
        metrics.counter("b_total", "messages", &[("topic", "T\"1\\\n")]).add(3);
        metrics.counter("b_total", "messages", &[("topic", "T\"1\\\n")]).increment();
        metrics.gauge("a_gauge", "level", &[]).set(-7);
        metrics.gauge_read("c_read", "seconds", &[], || 0.5);
        let histogram = metrics.histogram("d", "sizes", &[("k", "v")], &[10, 100]);
        for value in [10, 11, 100, 101] {
            histogram.observe(value);
        }
        assert_eq!(
            metrics.render(),
            "# HELP a_gauge level\n# TYPE a_gauge gauge\na_gauge -7\n\
             # HELP b_total messages\n# TYPE b_total counter\nb_total{topic=\"T\\\"1\\\\\\n\"} 4\n\
             # HELP c_read seconds\n# TYPE c_read gauge\nc_read 0.5\n\
             # HELP d sizes\n# TYPE d histogram\n\
             d_bucket{k=\"v\",le=\"10\"} 1\nd_bucket{k=\"v\",le=\"100\"} 3\nd_bucket{k=\"v\",le=\"+Inf\"} 4\n\
             d_sum{k=\"v\"} 222\nd_count{k=\"v\"} 4\n"
        );
    }

    #[test]
    fn label_sets_beyond_the_limit_share_one_series() {
        let metrics = Metrics::new();
        for at in 0..SERIES_MAX + 50 {
            metrics.counter("x_total", "x", &[("topic", &at.to_string())]).increment();
        }
        assert_eq!(metrics.counter("x_total", "x", &[("topic", "0")]).value(), 1);
        assert_eq!(metrics.counter("x_total", "x", &[("topic", "unseen")]).value(), 50);
        assert_eq!(metrics.render().lines().count(), SERIES_MAX + 1 + 2);
    }

    #[test]
    fn what_is_gone_can_be_forgotten() {
        let metrics = Metrics::new();
        for (topic, group) in [("A", "g"), ("AB", "g"), ("B", "A")] {
            metrics.gauge("lag", "l", &[("topic", topic), ("group", group)]).set(1);
        }
        metrics.forget("lag", ("topic", "A"));
        assert_eq!(
            metrics.render(),
            "# HELP lag l\n# TYPE lag gauge\nlag{topic=\"AB\",group=\"g\"} 1\nlag{topic=\"B\",group=\"A\"} 1\n"
        );
    }
}
