"""Node `email-classificator` of the classificator in Python: naive Bayes over words, trained when the node starts."""

import math
import os
import re
from collections import Counter, defaultdict

from internal_nodes_pb2 import Batch, Classified, ClassifiedBatch, Repair

WORD = re.compile(r"\w{3,}")
models = {}


def words(text):
    return [word.lower() for word in WORD.findall(text)]


def init(ctx):
    examples = defaultdict(list)
    with open(ctx.path("model/training.tsv"), encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                category, text = line.rstrip("\n").split("\t", 1)
                examples[category].append(words(text))
    total = sum(len(texts) for texts in examples.values())
    vocabulary = len({word for texts in examples.values() for text in texts for word in text})
    for category, texts in sorted(examples.items()):
        seen = Counter(word for text in texts for word in text)
        models[category] = (math.log(len(texts) / total), seen, sum(seen.values()) + vocabulary)
    ctx.logger.info("trained on %d examples", total)


def classify(text):
    found = words(text)

    def score(category):
        prior, seen, size = models[category]
        return prior + sum(math.log((seen[word] + 1) / size) for word in found)

    scores = {category: score(category) for category in models}
    best = max(scores, key=scores.get)
    return best, 1 / sum(math.exp(score - scores[best]) for score in scores.values())


async def handle(ctx, payload):
    batch = Batch()
    if ctx.is_message_error():
        raise ValueError("the node before failed")
    if not ctx.is_message_ok():
        return
    payload.Unpack(batch)
    path = [*batch.path, os.environ["KRT_NODE_NAME"]]
    classified = []
    for one in batch.emails:
        category, confidence = classify(f"{one.subject} {one.body}")
        classified.append(Classified(email=one, category=category, confidence=confidence))
        if category == "repairs":
            await ctx.send_output(Repair(email=one, path=path), "repairs")
    await ctx.send_output(ClassifiedBatch(emails=classified, path=path))


custom_handlers = {"etl": handle}
