//! A prediction as the document that the platform's metrics are made from: names and formats are the original's.

use serde_json::{Value, json};

use super::{DataError, MAX_DOCUMENT};

/// Where the platform looks for predictions.
pub(super) const COLLECTION: &str = "classificationMetrics";

/// Bytes of a label. The original sets none.
const MAX_LABEL: usize = 4 << 10;

/// One prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// What was predicted beside what is true, or why nothing was.
    pub outcome: Result<(String, String), Problem>,
    /// JSON to keep with it.
    pub extra: Option<String>,
    /// Nanoseconds since the Unix epoch; none = now.
    pub time: Option<i64>,
}

/// Why there is no prediction to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The input had values missing.
    MissingValues,
    /// The truth is a label that the model does not know.
    NewLabels,
}

impl Prediction {
    /// The document.
    pub(super) fn document(&self, version: &str, version_id: &str) -> Result<String, DataError> {
        let (error, (predicted, actual)) = match &self.outcome {
            Ok((predicted, actual)) => ("", (predicted.as_str(), actual.as_str())),
            Err(Problem::MissingValues) => ("missing_values", ("", "")),
            Err(Problem::NewLabels) => ("new_labels", ("", "")),
        };
        if predicted.len() > MAX_LABEL || actual.len() > MAX_LABEL {
            return Err(DataError::Invalid(format!("a label has more than {MAX_LABEL} bytes")));
        }
        let mut document = json!({
            "date": date(self.time),
            "error": error,
            "predictedValue": predicted,
            "trueValue": actual,
            "versionId": version_id,
            "versionName": version,
        });
        if let Some(extra) = &self.extra {
            if extra.len() > MAX_DOCUMENT {
                return Err(DataError::TooLarge { limit: MAX_DOCUMENT });
            }
            let extra: Value = serde_json::from_str(extra)
                .map_err(|error| DataError::Invalid(format!("what is to be kept with it is not JSON: {error}")))?;
            document["extra"] = extra;
        }
        Ok(document.to_string())
    }
}

/// RFC 3339 to the second: the platform compares dates as text, and one with a fraction sorts before the same without.
fn date(time: Option<i64>) -> String {
    let seconds = match time {
        Some(nanos) => nanos.div_euclid(1_000_000_000),
        None => prost_types::Timestamp::from(std::time::SystemTime::now()).seconds,
    };
    prost_types::Timestamp { seconds, nanos: 0 }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(outcome: Result<(&str, &str), Problem>) -> Prediction {
        let outcome = outcome.map(|(predicted, actual)| (predicted.to_owned(), actual.to_owned()));
        Prediction { outcome, extra: None, time: Some(1_700_000_000_999_999_999) }
    }

    #[test]
    fn a_prediction_has_the_originals_fields() {
        let document = prediction(Ok(("spam", "ham"))).document("v1", "65aa").unwrap();
        assert_eq!(
            document,
            r#"{"date":"2023-11-14T22:13:20Z","error":"","predictedValue":"spam","trueValue":"ham","versionId":"65aa","versionName":"v1"}"#
        );
    }

    #[test]
    fn what_kept_a_model_from_predicting_has_the_originals_words() {
        for (problem, word) in [(Problem::MissingValues, "missing_values"), (Problem::NewLabels, "new_labels")] {
            let document = prediction(Err(problem)).document("v1", "65aa").unwrap();
            assert!(
                document.contains(&format!(r#""error":"{word}","predictedValue":"","trueValue":"""#)),
                "{document}"
            );
        }
    }

    #[test]
    fn what_is_kept_with_it_is_json_and_bounded() {
        let with = |extra: &str| Prediction { extra: Some(extra.to_owned()), ..prediction(Ok(("a", "b"))) };
        assert!(with(r#"{"model":[1,null]}"#).document("v", "i").unwrap().contains(r#""extra":{"model":[1,null]}"#));
        assert!(matches!(with("{").document("v", "i"), Err(DataError::Invalid(_))));
        assert!(matches!(with(&"[".repeat(1000)).document("v", "i"), Err(DataError::Invalid(_))));
        let large = with(&format!("\"{}\"", "x".repeat(MAX_DOCUMENT)));
        assert_eq!(large.document("v", "i"), Err(DataError::TooLarge { limit: MAX_DOCUMENT }));
        let long = prediction(Ok((&"x".repeat(MAX_LABEL + 1), "b"))).document("v", "i");
        assert!(matches!(long, Err(DataError::Invalid(_))));
    }

    #[test]
    fn every_time_has_a_date() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (i64::MIN, "1677-09-21T00:12:43Z"),
            (i64::MAX, "2262-04-11T23:47:16Z"),
        ] {
            assert_eq!(date(Some(time)), text);
        }
        assert_eq!(date(None).len(), 20);
    }
}
