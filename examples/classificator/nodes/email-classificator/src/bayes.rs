//! Naive Bayes over words: small, quick to train, and good enough to sort a support desk's e-mails.

use std::collections::{BTreeMap, BTreeSet};

/// Which words are how likely in which category.
pub struct Model {
    categories: Vec<Category>,
}

struct Category {
    name: String,
    /// Logarithm of the share of examples that are of this category.
    prior: f64,
    /// Logarithm of the likelihood of each word seen in it.
    words: BTreeMap<String, f64>,
    /// The same for a word never seen in it (Laplace: as if every known word had been seen once more).
    unseen: f64,
}

/// The examples are no training set.
#[derive(Debug, PartialEq, Eq)]
pub struct BadExample {
    line: usize,
}

impl Model {
    /// Learns from lines of `category<TAB>text`.
    pub fn train(examples: &str) -> Result<Self, BadExample> {
        let mut texts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (index, line) in examples.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let (category, text) = line.split_once('\t').ok_or(BadExample { line: index + 1 })?;
            texts.entry(category).or_default().push(text);
        }
        let count: usize = texts.values().map(Vec::len).sum();
        if count == 0 {
            return Err(BadExample { line: 1 });
        }
        let vocabulary = texts.values().flatten().flat_map(|text| words(text)).collect::<BTreeSet<_>>().len() as f64;
        let categories = texts.into_iter().map(|(name, texts)| {
            let mut seen: BTreeMap<String, f64> = BTreeMap::new();
            for word in texts.iter().flat_map(|text| words(text)) {
                *seen.entry(word).or_default() += 1.0;
            }
            let total = seen.values().sum::<f64>() + vocabulary;
            seen.values_mut().for_each(|n| *n = ((*n + 1.0) / total).ln());
            let prior = (texts.len() as f64 / count as f64).ln();
            Category { name: name.to_owned(), prior, words: seen, unseen: (1.0 / total).ln() }
        });
        Ok(Self { categories: categories.collect() })
    }

    /// The likeliest category, and how sure that is (0 to 1).
    pub fn classify(&self, text: &str) -> (&str, f64) {
        let words: Vec<String> = words(text).collect();
        let score = |category: &Category| {
            let likelihood = |word: &String| category.words.get(word).copied().unwrap_or(category.unseen);
            category.prior + words.iter().map(likelihood).sum::<f64>()
        };
        let scores: Vec<f64> = self.categories.iter().map(score).collect();
        let (best, highest) =
            scores.iter().copied().enumerate().fold((0, f64::NEG_INFINITY), |a, b| if b.1 > a.1 { b } else { a });
        let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
        (&self.categories[best].name, 1.0 / sum)
    }

    /// All categories, sorted.
    pub fn categories(&self) -> Vec<&str> {
        self.categories.iter().map(|category| category.name.as_str()).collect()
    }
}

impl std::fmt::Display for BadExample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {} of the examples is not `category<TAB>text`", self.line)
    }
}

impl std::error::Error for BadExample {}

/// Lower-case words of at least three letters: shorter ones say nothing.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() >= 3).map(str::to_lowercase)
}
