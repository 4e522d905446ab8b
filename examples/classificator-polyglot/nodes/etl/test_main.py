"""What `etl` makes of batches. Run by `.venv/bin/python -m unittest` in this folder, after `krt build`."""

import unittest

import main
from krt_node import OutputType, Rejected
from krt_node.testing import TestHost
from messages.internal_nodes_pb2 import Batch
from messages.public_input_pb2 import Request, Response


def handle(**request):
    return TestHost(package="../..", node="etl").handle(main, Request(**request))


class Etl(unittest.TestCase):
    def test_the_batch_of_the_package_has_at_least_thirty_emails(self):
        [batch] = handle(batch="monday").sent(Batch)
        self.assertGreaterEqual(len(batch.emails), 30)
        self.assertTrue(all("@" in getattr(email, "from") and email.body for email in batch.emails))
        self.assertEqual(batch.path, ["entrypoint", "etl"])

    def test_folded_headers_encoded_words_and_quoted_printable_are_understood(self):
        text = (
            "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\r\nSubject: The invoice\r\n of March\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            "caf=C3=A9 =\r\nau lait"
        )
        [email] = handle(emails=[text]).sent(Batch)[0].emails
        self.assertEqual((getattr(email, "from"), email.subject), ("zoe@example.org", "The invoice of March"))
        self.assertEqual(email.body, "café au lait")

    def test_a_malformed_email_is_rejected_by_its_number(self):
        outcome = handle(emails=["From: a@b.c\r\n\r\nfine", "no headers at all"])
        self.assertRegex(str(outcome.failure), "^e-mail 2 of the batch is malformed")
        self.assertEqual(outcome.outputs, [])

    def test_an_acknowledgement_goes_out_before_the_batch(self):
        outputs = handle(batch="monday", acknowledge=True).outputs
        self.assertEqual([output.output_type for output in outputs], [OutputType.EARLY_REPLY, OutputType.OK])
        self.assertIn("e-mails read", outputs[0].decode(Response).message)

    def test_a_batch_outside_the_package_is_refused(self):
        for batch in ("../../../etc/passwd", "/etc/passwd", "nothing"):
            self.assertIsInstance(handle(batch=batch).failure, Rejected)


if __name__ == "__main__":
    unittest.main()
