//! The measurements of nodes as gauges on `/metrics`: `krt_measurement{measurement, field, …tags}`, last value wins.
//!
//! A node chooses names and tags, so the number of series is bounded: a new one beyond the bound is dropped, and the
//! node is told. Texts are not numbers and make no series.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::{Dropped, FieldValue, Gauges, Measurements, Metrics, Point};

/// Series of all nodes together. A gauge with its labels is some hundred bytes.
const MAX_SERIES: usize = 10_000;

/// See the module.
pub struct GaugeMeasurements {
    gauges: Gauges,
    known: Mutex<HashSet<Vec<(String, String)>>>,
    max_series: usize,
}

impl GaugeMeasurements {
    /// Measurements that appear among `metrics`.
    pub fn new(metrics: &Metrics) -> Self {
        Self { gauges: metrics.measurements.clone(), known: Mutex::default(), max_series: MAX_SERIES }
    }

    fn admits(&self, labels: &Vec<(String, String)>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(labels) || (known.len() < self.max_series && known.insert(labels.clone()))
    }
}

impl Measurements for GaugeMeasurements {
    fn save(&self, point: Point) -> Result<(), Dropped> {
        let tags: Vec<(String, String)> = point.tags.into_iter().map(|(name, value)| (label(&name), value)).collect();
        let mut result = Ok(());
        for (field, value) in point.fields {
            let Some(number) = number(&value) else { continue };
            let mut labels = vec![("measurement".to_owned(), point.name.clone()), ("field".to_owned(), field)];
            labels.extend(tags.iter().cloned());
            // One order for one set of tags, whatever the node's.
            labels[2..].sort();
            labels.dedup_by(|a, b| a.0 == b.0);
            if self.admits(&labels) {
                self.gauges.get_or_create(&labels).set(number);
            } else {
                result = Err(Dropped);
            }
        }
        result
    }
}

fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::Float(float) => Some(*float),
        FieldValue::Signed(signed) => Some(*signed as f64),
        FieldValue::Unsigned(unsigned) => Some(*unsigned as f64),
        FieldValue::Boolean(boolean) => Some(f64::from(u8::from(*boolean))),
        FieldValue::Text(_) => None,
    }
}

/// A tag's name as Prometheus takes it: `[a-zA-Z_][a-zA-Z0-9_]*`, and never one of the labels that are ours.
fn label(name: &str) -> String {
    let mut label: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) || matches!(&*label, "measurement" | "field")
    {
        label.insert(0, '_');
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(tag: &str) -> Point {
        Point {
            name: "mails".to_owned(),
            fields: vec![
                ("count".to_owned(), FieldValue::Unsigned(3)),
                ("text".to_owned(), FieldValue::Text("x".into())),
            ],
            tags: vec![("by-kind".to_owned(), tag.to_owned())],
            time: None,
        }
    }

    #[test]
    fn numbers_become_gauges_with_the_tags_as_labels_and_texts_do_not() {
        let metrics = Metrics::default();
        GaugeMeasurements::new(&metrics).save(point("spam")).unwrap();
        let text = metrics.encode();
        assert!(text.contains(r#"krt_measurement{measurement="mails",field="count",by_kind="spam"} 3"#), "{text}");
        assert!(!text.contains(r#"field="text""#), "{text}");
    }

    #[test]
    fn a_new_series_beyond_the_bound_is_dropped_and_known_ones_go_on() {
        let metrics = Metrics::default();
        let measurements = GaugeMeasurements { max_series: 1, ..GaugeMeasurements::new(&metrics) };
        measurements.save(point("spam")).unwrap();
        assert_eq!(measurements.save(point("ham")), Err(Dropped));
        measurements.save(point("spam")).unwrap();
    }
}
