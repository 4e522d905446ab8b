// Adds a label to a mail: the twin of tests/guests/typed/go, for benchmarks.
package main

import (
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/kre"
	"krt.test/interop/pb/mails"
)

func sort(ctx *kre.Context, data *anypb.Any) error {
	mail := &mails.Mail{}
	if err := data.UnmarshalTo(mail); err != nil {
		return err
	}
	mail.Labels = append(mail.Labels, "sorted")
	return ctx.SendOutput(mail)
}

func main() {
	kre.Start(nil, sort, nil)
}
