// Node {{name}}: greets.
package main

import (
	"errors"
	"log/slog"

	krt "github.com/konstellation-io/krt/guest-sdk/go"

	"{{name}}/messages"
)

func greet(ctx *krt.Context, greeting *messages.Greeting) error {
	if greeting.Name == "" {
		return errors.New("a greeting needs a name")
	}
	slog.Info("greeting", "name", greeting.Name)
	return ctx.SendOutput(&messages.Answer{Text: "Hello, " + greeting.Name + "!"})
}

func main() {
	krt.Start(nil, krt.On(greet))
}
