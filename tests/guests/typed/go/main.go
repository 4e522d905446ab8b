// Adds a label to a mail.
package main

import (
	krt "github.com/konstellation-io/krt/guest-sdk/go"

	"typed/messages"
)

func sort(ctx *krt.Context, mail *messages.Mail) error {
	mail.Labels = append(mail.Labels, "sorted")
	return ctx.SendOutput(mail)
}

func main() {
	krt.Start(nil, krt.On(sort))
}
