// Node `repairs-handler` of the classificator in Go: files the e-mails that ask for a repair.
package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/kre"
	"krt.test/interop/pb/internal_nodes"
)

func file(ctx *kre.Context, data *anypb.Any) error {
	repair := &internal_nodes.Repair{}
	if err := data.UnmarshalTo(repair); err != nil {
		return err
	}
	email := repair.Email
	name := fmt.Sprintf("%s/%s.txt", ctx.GetRequestID(), email.Id)
	order := fmt.Sprintf("from: %s\nsubject: %s\n\n%s\n", email.From, email.Subject, email.Body)
	if err := ctx.ObjectStore.Save(name, []byte(order)); err != nil {
		return err
	}
	text, err := ctx.Configuration.Get("repairs-filed", kre.ScopeWorkflow)
	if err != nil && !errors.Is(err, nats.ErrKeyNotFound) {
		return err
	}
	filed, _ := strconv.Atoi(text)
	return ctx.Configuration.Set("repairs-filed", strconv.Itoa(filed+1), kre.ScopeWorkflow)
}

func main() {
	kre.Start(nil, nil, map[string]kre.Handler{"email-classificator": file})
}
