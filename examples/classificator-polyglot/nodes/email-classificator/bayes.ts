// Naive Bayes over words: small, quick to train, and good enough to sort a support desk's e-mails.

/** One kind of e-mail. */
interface Category {
  readonly name: string;
  /** Logarithm of the share of examples that are of this category. */
  readonly prior: number;
  /** Logarithm of the likelihood of each word seen in it. */
  readonly words: Map<string, number>;
  /** The same for a word never seen in it (Laplace: as if every known word had been seen once more). */
  readonly unseen: number;
}

/** Which words are how likely in which category. */
export class Model {
  readonly categories: Category[];

  constructor(categories: Category[]) {
    this.categories = categories;
  }

  /** Learns from lines of `category<TAB>text`. */
  static train(examples: string): Model {
    const texts = new Map<string, string[]>();
    for (const [index, line] of examples.split("\n").entries()) {
      if (line.trim() === "") continue;
      const tab = line.indexOf("\t");
      if (tab < 0) throw new Error(`line ${index + 1} of the examples is not \`category<TAB>text\``);
      const category = line.slice(0, tab);
      texts.set(category, [...(texts.get(category) ?? []), line.slice(tab + 1)]);
    }
    const all = [...texts.values()].flat();
    if (all.length === 0) throw new Error("there are no examples");
    const vocabulary = new Set(all.flatMap(words)).size;
    const names = [...texts.keys()].sort();
    return new Model(names.map((name) => learn(name, texts.get(name) ?? [], all.length, vocabulary)));
  }

  /** The likeliest category, and how sure that is (0 to 1). */
  classify(text: string): { category: string; confidence: number } {
    const found = words(text);
    const scores = this.categories.map(({ prior, words, unseen }) =>
      found.reduce((score, word) => score + (words.get(word) ?? unseen), prior),
    );
    const highest = Math.max(...scores);
    const sum = scores.reduce((sum, score) => sum + Math.exp(score - highest), 0);
    return { category: this.categories[scores.indexOf(highest)].name, confidence: 1 / sum };
  }

  /** How many categories there are. */
  get size(): number {
    return this.categories.length;
  }
}

function learn(name: string, texts: string[], examples: number, vocabulary: number): Category {
  const seen = new Map<string, number>();
  for (const word of texts.flatMap(words)) seen.set(word, (seen.get(word) ?? 0) + 1);
  const total = [...seen.values()].reduce((sum, count) => sum + count, vocabulary);
  const likely = [...seen].map(([word, count]): [string, number] => [word, Math.log((count + 1) / total)]);
  return { name, prior: Math.log(texts.length / examples), words: new Map(likely), unseen: Math.log(1 / total) };
}

/** Lower-case words of at least three bytes: shorter ones say nothing. */
function words(text: string): string[] {
  const bytes = new TextEncoder();
  const found = text.split(/[^\p{Alphabetic}\p{Number}]+/u);
  return found.filter((word) => bytes.encode(word).length >= 3).map((word) => word.toLowerCase());
}
