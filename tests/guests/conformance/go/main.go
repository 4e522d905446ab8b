// The conformance suite's guest in Go: see ../README.md, which says what each command does.
package main

import (
	"errors"
	"fmt"
	"os"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"google.golang.org/protobuf/types/known/anypb"

	"conformance/messages"
)

var (
	// How often initialise ran in this instance, and what it saw.
	inits int
	seen  []string
	// How many were counted.
	count int
)

func initialise(ctx *krt.Context) error {
	inits++
	key := "init-" + ctx.Node()
	sent := ctx.SendOutput(&messages.Answer{Text: "from init"})
	if err := ctx.Configuration.Set(key, "x", krt.ScopeNode); err != nil {
		return err
	}
	kept, err := ctx.Configuration.Get(key, krt.ScopeNode)
	if err != nil {
		return err
	}
	config := "lost"
	if kept == "x" {
		config = "ok"
	}
	seen = []string{
		fmt.Sprint("inits=", inits), fmt.Sprint("attempt=", ctx.Attempt()), "node=" + ctx.Node(),
		"send=" + caseOf(sent), "config=" + config,
	}
	switch os.Getenv("CONFORMANCE_INIT") {
	case "reject":
		return errors.New("init says no")
	case "throw":
		failsDeep("init threw", false)
	case "transient":
		if _, found, err := ctx.Configuration.Lookup("started", krt.ScopeNode); found || err != nil {
			return err
		}
		if err := ctx.Configuration.Set("started", "yes", krt.ScopeNode); err != nil {
			return err
		}
		return krt.Transient(errors.New("not yet"))
	}
	return nil
}

func obey(ctx *krt.Context, command *messages.Command) error {
	answer, err := run(ctx, command)
	if err == nil && answer != nil {
		err = ctx.SendOutput(answer)
	}
	// A call of the context that said no is an answer; everything else is a failure.
	var refused *krt.Error
	if errors.As(err, &refused) {
		return ctx.SendOutput(&messages.Answer{Text: "error:" + caseOf(err)})
	}
	return err
}

func fromWorker(ctx *krt.Context, message *anypb.Any) error {
	if ctx.Node() != "second" {
		return collect(ctx, message, "worker")
	}
	return krt.On(obey)(ctx, message)
}

func fromOthers(ctx *krt.Context, message *anypb.Any) error { return collect(ctx, message, "default") }

func collect(ctx *krt.Context, message *anypb.Any, handler string) error {
	text, answer := "-", &messages.Answer{}
	switch {
	case ctx.IsMessageError():
		text = ctx.MessageError()
	case message.MessageIs(answer):
		if err := message.UnmarshalTo(answer); err != nil {
			return err
		}
		text = answer.Text
	}
	name := string(message.MessageName())
	ctx.Logger.Infof("collected handler=%s from=%s channel=%s type=%s message=%s request=%s text=%s",
		handler, ctx.FromNode(), orNone(ctx.Channel()), kind(ctx), orNone(name), ctx.GetRequestID(), text)
	command := &messages.Command{}
	switch {
	case ctx.IsMessageError():
		return ctx.SendOutput(&messages.Answer{Text: "error from " + ctx.FromNode() + ": " + text})
	case message.MessageIs(answer):
		return ctx.Relay()
	case message.MessageIs(command):
		if err := message.UnmarshalTo(command); err != nil {
			return err
		}
		return ctx.SendOutput(&messages.Answer{Text: "relayed", Items: command.Args})
	default:
		return ctx.SendOutput(&messages.Answer{Text: "a " + name})
	}
}

func kind(ctx *krt.Context) string {
	switch {
	case ctx.IsMessageOK():
		return "ok"
	case ctx.IsMessageError():
		return "error"
	case ctx.IsMessageEarlyReply():
		return "early-reply"
	case ctx.IsMessageEarlyExit():
		return "early-exit"
	case ctx.MessageType() == krt.Undefined:
		return "undefined"
	default:
		return "unknown"
	}
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// caseOf is the contract's name of an error's case, with its number if it has one.
func caseOf(err error) string {
	var refused *krt.Error
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &refused):
		return err.Error()
	case refused.Limit > 0:
		return fmt.Sprintf("%s:%d", refused.Case, refused.Limit)
	default:
		return refused.Case
	}
}

func main() {
	krt.Start(initialise, fromOthers, map[string]krt.Handler{"entrypoint": krt.On(obey), "worker": fromWorker})
}
