// Node repairs-handler: files the e-mails that ask for a repair. Two replicas share the work.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	krt "github.com/konstellation-io/krt/guest-sdk/go"

	"repairs-handler/messages"
)

func file(ctx *krt.Context, repair *messages.Repair) error {
	email := repair.Email
	if email == nil {
		return errors.New("a repair without an e-mail")
	}
	// By request and e-mail: a message that comes again replaces its own order.
	name := fmt.Sprintf("%s/%s.txt", ctx.GetRequestID(), email.Id)
	order := fmt.Sprintf("from: %s\nsubject: %s\n\n%s\n", email.From, email.Subject, email.Body)
	if err := ctx.ObjectStore.Save(name, []byte(order)); err != nil {
		return err
	}
	// The replicas may count at the same moment, and settings know no transactions: the orders are what counts.
	text, _, err := ctx.Configuration.Lookup("repairs-filed", krt.ScopeWorkflow)
	if err != nil {
		return err
	}
	filed, _ := strconv.ParseUint(text, 10, 64)
	if err := ctx.Configuration.Set("repairs-filed", strconv.FormatUint(filed+1, 10), krt.ScopeWorkflow); err != nil {
		return err
	}
	slog.Debug("filed a repair", "name", name)
	return ctx.Measurement.Save("repairs", map[string]any{"filed": uint32(1)}, nil)
}

func main() {
	krt.Start(nil, nil, map[string]krt.Handler{"email-classificator": krt.On(file)})
}
