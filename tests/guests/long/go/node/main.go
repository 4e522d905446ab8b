// What is done for a long time: a typed message decoded, changed, encoded and sent; everything that a message may use
// besides it; goroutines; and every way in which a handler fails.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"google.golang.org/protobuf/types/known/anypb"

	"sorter/messages"
)

func sort(ctx *krt.Context, mail *messages.Mail) error {
	mail.Subject = strings.ToUpper(mail.Subject)
	mail.Labels = append(mail.Labels, "sorted")
	return ctx.SendOutput(mail)
}

// everything is what goes to the host and comes back from it beside messages.
func everything(ctx *krt.Context, message *anypb.Any) error {
	value, err := ctx.Configuration.Get("key")
	if value != "välue" && !errors.Is(err, krt.ErrNotFound) {
		return fmt.Errorf("%q, %w", value, err)
	}
	if _, err := ctx.Configuration.Get("none", krt.ScopeProject); !errors.Is(err, krt.ErrNotFound) {
		return fmt.Errorf("found: %w", err)
	}
	if err := ctx.Configuration.Set("key", "välue"); err != nil {
		return err
	}
	// The host writes the channel back.
	if err := ctx.Relay("no.channel" + strings.Repeat("!", 5000)); !errors.Is(err, krt.ErrInvalid) {
		return fmt.Errorf("a channel that is none: %w", err)
	}
	fields := map[string]any{"score": 0.5, "count": 3, "spam": false, "from": "me"}
	if err := ctx.Measurement.Save("mails", fields, map[string]string{"kind": "long"}, time.Now()); err != nil {
		return err
	}
	if _, err := ctx.ObjectStore.Get("none"); !errors.Is(err, krt.ErrNotDeclared) {
		return fmt.Errorf("an object: %w", err)
	}
	left, limited := ctx.TimeRemaining()
	slog.Info("sorted", "attempt", ctx.Attempt(), "left", left, "limited", limited, "home", os.Getenv("HOME"))
	if text := ctx.Channel() + ctx.Traceparent() + ctx.Node(); text != "lone" {
		return fmt.Errorf("%q", text)
	}
	if err := ctx.SendAny(message, "any"); err != nil {
		return err
	}
	return ctx.Relay()
}

// together is many goroutines that all use the host, and allocate while they do.
func together(ctx *krt.Context, mail *messages.Mail) error {
	var all sync.WaitGroup
	failed := make(chan error, 8)
	for i := range 8 {
		all.Go(func() {
			mine := &messages.Mail{Id: fmt.Sprint(i), Body: strings.Repeat(mail.Subject, i)}
			runtime.Gosched()
			if _, _, err := ctx.Configuration.Lookup(fmt.Sprint("key-", i)); err != nil {
				failed <- err
			}
			if err := ctx.SendOutput(mine); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func fails(_ *krt.Context, message *anypb.Any) error {
	switch len(message.Value) % 4 {
	case 0:
		return errors.New("no")
	case 1:
		return krt.Transient(errors.New("not now"))
	case 2:
		panic("no text is too short")
	default:
		var list []string
		return errors.New(list[len(message.Value)])
	}
}

func state(ctx *krt.Context, _ *anypb.Any) error {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return ctx.SendOutput(&messages.State{Collections: memory.NumGC, Bytes: memory.Sys})
}

func main() {
	krt.Start(nil, krt.On(sort), map[string]krt.Handler{
		"everything": everything, "together": krt.On(together), "fails": fails, "state": state,
	})
}
