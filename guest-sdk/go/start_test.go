package krt_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"github.com/konstellation-io/krt/guest-sdk/go/krttest"
)

func shout(ctx *krt.Context, text *wrapperspb.StringValue) error {
	return ctx.SendOutput(wrapperspb.String(strings.ToUpper(text.Value)))
}

func raw(handle func(ctx *krt.Context, message *anypb.Any) error) krt.Handler { return handle }

func want(t *testing.T, what string, got, wanted any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("%s: %v, and not %v", what, got, wanted)
	}
}

func TestATypedHandlerGetsItsMessageAndSendsItsOwn(t *testing.T) {
	outcome := krttest.New(t).Handler(krt.On(shout)).Handle(wrapperspb.String("hello"))
	want(t, "sent", krttest.Sent[*wrapperspb.StringValue](outcome)[0].Value, "HELLO")
	want(t, "type URL", outcome.Outputs()[0].Message.TypeUrl, "type.googleapis.com/google.protobuf.StringValue")
}

func TestAnotherTypeIsRejectedWithBothNames(t *testing.T) {
	outcome := krttest.New(t).Handler(krt.On(shout)).Handle(durationpb.New(1))
	want(t, "failure", outcome.Failure(),
		`the payload is a "google.protobuf.Duration", not a "google.protobuf.StringValue"`)
}

func TestBytesThatAreNotTheMessageAreRejected(t *testing.T) {
	packed := &anypb.Any{TypeUrl: "x/google.protobuf.StringValue", Value: []byte{0xff}}
	outcome := krttest.New(t).Handler(krt.On(shout)).HandleAny(packed)
	if !strings.HasPrefix(outcome.Failure(), `the payload is not a valid "google.protobuf.StringValue": `) {
		t.Error(outcome.Failure())
	}
}

func TestATypedHandlerPassesErrorsOnAndSkipsEarlyAnswers(t *testing.T) {
	host := krttest.New(t).Handler(krt.On(shout)).From("etl")
	want(t, "an error", host.HandleError("no stock").Failure(), "no stock")
	want(t, "an empty error", host.HandleError("").Failure(), `node "etl" failed without saying why`)
	outcome := host.MessageType(krt.EarlyReply).Handle(wrapperspb.String("x"))
	want(t, "outputs", len(outcome.Outputs()), 0)
	want(t, "failed", outcome.Failed(), false)
}

func TestHandlersGoByTheOriginNode(t *testing.T) {
	say := func(text string) krt.Handler {
		return func(ctx *krt.Context, _ *anypb.Any) error { return ctx.SendOutput(wrapperspb.String(text)) }
	}
	main := func() { krt.Start(nil, say("default"), map[string]krt.Handler{"etl": say("etl")}) }
	for origin, wanted := range map[string]string{"etl": "etl", "ETL": "default", "entrypoint": "default"} {
		outcome := krttest.New(t).Node(main).From(origin).Handle(wrapperspb.String(""))
		want(t, origin, krttest.Sent[*wrapperspb.StringValue](outcome)[0].Value, wanted)
	}
	alone := krttest.New(t).Node(func() { krt.Start(nil, nil, map[string]krt.Handler{"etl": say("etl")}) })
	want(t, "no handler", alone.Handle(wrapperspb.String("")).Failure(),
		`node "node" has no handler for messages of node "entrypoint", and no default one`)
	want(t, "no handlers", krttest.New(t).Handler(nil).Init().Failure(), "the node has no handler: give krt.Start one")
}

func TestInitRunsOncePerInstanceAndMayFail(t *testing.T) {
	runs := 0
	host := krttest.New(t).Node(func() {
		krt.Start(func(ctx *krt.Context) error {
			if runs++; runs == 1 {
				return krt.Transient(errors.New("the model is away"))
			}
			want(t, "sending", errors.Is(ctx.SendOutput(wrapperspb.String("")), krt.ErrNoMessage), true)
			want(t, "attempt", ctx.Attempt(), 0)
			return nil
		}, krt.On(shout))
	})
	first := host.Init()
	want(t, "first", []any{first.Failure(), first.Transient()}, []any{"the model is away", true})
	for range 2 {
		want(t, "then", host.Handle(wrapperspb.String("")).Failed(), false)
	}
	want(t, "runs", runs, 2)
}

func TestWhichErrorsAreWorthAnotherAttempt(t *testing.T) {
	plain := errors.New("x")
	for _, one := range []struct {
		err       error
		transient bool
	}{
		{plain, false},
		{krt.Transient(plain), true},
		{fmt.Errorf("asking: %w", krt.Transient(plain)), true},
		{krt.Rejected(krt.Transient(plain)), false},
		{krt.Transient(krt.Rejected(plain)), true},
		{fmt.Errorf("saving: %w", &krt.Error{Op: "save", Kind: krt.ErrUnavailable, Text: "away"}), true},
		{krt.Rejected(krt.ErrUnavailable), false},
	} {
		want(t, fmt.Sprintf("%#v", one.err), krt.IsTransient(one.err), one.transient)
	}
	if krt.Transient(nil) != nil || krt.Rejected(nil) != nil {
		t.Error("nil is no error")
	}
	outcome := krttest.New(t).Unavailable().Handler(raw(func(ctx *krt.Context, _ *anypb.Any) error {
		_, err := ctx.Configuration.Get("x")
		return fmt.Errorf("counting: %w", err)
	})).Handle(wrapperspb.String(""))
	want(t, "text", outcome.Failure(), `counting: get setting "x": cannot be reached: the test host says so`)
	want(t, "transient", outcome.Transient(), true)
}

func pick(list []string, at int) string { return list[at] }

func TestAPanicRejectsTheMessageAndItsStackIsLogged(t *testing.T) {
	outcome := krttest.New(t).Handler(krt.On(func(ctx *krt.Context, text *wrapperspb.StringValue) error {
		return ctx.SendOutput(wrapperspb.String(pick([]string{text.Value}, 3)))
	})).Handle(wrapperspb.String("x"))
	wanted := "panic: runtime error: index out of range [3] with length 1"
	want(t, "failure", []any{outcome.Failure(), outcome.Transient()}, []any{wanted, false})
	line := outcome.Logs()[0]
	want(t, "logged", []any{line.Level, line.Text}, []any{slog.LevelError, wanted})
	stack := line.Fields["stack"]
	if !strings.HasPrefix(stack, "go_test.pick (go/start_test.go:") || strings.Count(stack, " < ") != 1 {
		t.Error(stack)
	}
}

func TestAPanicOfADeferredFunctionAndOfAnyValueIsCaught(t *testing.T) {
	outcome := krttest.New(t).Handler(raw(func(*krt.Context, *anypb.Any) error {
		defer func() { panic(fmt.Errorf("second")) }()
		panic("first")
	})).Handle(wrapperspb.String(""))
	want(t, "failure", outcome.Failure(), "panic: second")
	outcome = krttest.New(t).Node(func() {
		krt.Start(func(*krt.Context) error { panic(7) }, krt.On(shout))
	}).Init()
	want(t, "init", outcome.Failure(), "panic: 7")
}

func TestWhatAMessageIsIsKnown(t *testing.T) {
	limit := 3 * time.Second
	krttest.New(t).From("etl").RequestID("r-1").Channel("spam").Attempt(2).TimeRemaining(limit).Traceparent("00-1-2-01").
		Package("/package").Handler(raw(func(ctx *krt.Context, message *anypb.Any) error {
		left, limited := ctx.TimeRemaining()
		want(t, "facts",
			[]any{ctx.GetRequestID(), ctx.FromNode(), ctx.Channel(), ctx.Attempt(), left, limited, ctx.Traceparent()},
			[]any{"r-1", "etl", "spam", 2, limit, true, "00-1-2-01"})
		want(t, "kind", []any{ctx.IsMessageOK(), ctx.IsMessageError(), ctx.MessageType() == krt.OK}, []any{true, false, true})
		want(t, "node", []any{ctx.Node(), ctx.Metadata().Workflow, ctx.Path("model/words.txt")},
			[]any{"node", "workflow", "/package/model/words.txt"})
		want(t, "limit", ctx.MaxPayload(), 1<<20)
		return nil
	})).Handle(wrapperspb.String(""))
}

func TestARawHandlerGetsErrors(t *testing.T) {
	krttest.New(t).Handler(raw(func(ctx *krt.Context, message *anypb.Any) error {
		want(t, "error", []any{ctx.IsMessageError(), ctx.MessageError(), message == nil}, []any{true, "no stock", true})
		return ctx.SendAny(message)
	})).HandleError("no stock")
}

func TestSendingOnChannelsEarlyAnswersAndRelaying(t *testing.T) {
	outcome := krttest.New(t).Handler(raw(func(ctx *krt.Context, message *anypb.Any) error {
		return errors.Join(
			ctx.SendOutput(wrapperspb.String("a"), "spam"),
			ctx.SendAny(message, ""),
			ctx.SendEarlyReply(wrapperspb.String("b")),
			ctx.SendEarlyExit(wrapperspb.String("c"), "x"),
			ctx.Relay("y"),
			ctx.RelayAs(krt.EarlyExit),
			ctx.SendAnyAs(krt.EarlyReply, message),
		)
	})).Handle(wrapperspb.String("in"))
	var sent []string
	for _, output := range outcome.Outputs() {
		message := &wrapperspb.StringValue{}
		if err := output.Message.UnmarshalTo(message); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, fmt.Sprintf("%d %s %s", output.Type, output.Channel, message.Value))
	}
	want(t, "sent", strings.Join(sent, "; "), "1 spam a; 1  in; 3  b; 4 x c; 1 y in; 4  in; 3  in")
	want(t, "failure", outcome.Failure(), "")
}

func TestWhyAMessageIsNotSent(t *testing.T) {
	var left *krt.Context
	krttest.New(t).MaxPayload(10).Handler(raw(func(ctx *krt.Context, _ *anypb.Any) error {
		left = ctx
		want(t, "channel", ctx.SendOutput(wrapperspb.String(""), "a.b"),
			`send google.protobuf.StringValue: "a.b" is not a channel: one token, without '.', '*', '>', space or control characters`)
		large := ctx.SendOutput(wrapperspb.String("0123456789"))
		want(t, "large", large, `send google.protobuf.StringValue: larger than the 10 bytes that are allowed`)
		var err *krt.Error
		want(t, "limit", errors.As(large, &err) && errors.Is(large, krt.ErrTooLarge) && err.Limit == 10, true)
		want(t, "type URL", errors.Is(ctx.SendAny(&anypb.Any{TypeUrl: "x/"}), krt.ErrInvalid), true)
		want(t, "error", errors.Is(ctx.RelayAs(krt.ERROR), krt.ErrInvalid), true)
		want(t, "nil", ctx.SendOutput(nil), "send: the message is nil")
		want(t, "not UTF-8", ctx.SendOutput(wrapperspb.String("\xff")) != nil, true)
		return nil
	})).Handle(wrapperspb.String(""))
	want(t, "after the handler", errors.Is(left.SendOutput(wrapperspb.String("")), krt.ErrNoMessage), true)
	want(t, "after the handler", errors.Is(left.Relay(), krt.ErrNoMessage), true)
}

func TestLogLinesOfAllPackagesGoToTheHost(t *testing.T) {
	outcome := krttest.New(t).Handler(raw(func(ctx *krt.Context, _ *anypb.Any) error {
		log.Print("printed")
		slog.Warn("slow", "took", 3*time.Second, slog.Group("of", "node", "etl"))
		ctx.Logger.Infof("%d done", 2)
		ctx.Logger.With("a", 1).WithGroup("g").Error("failed", "err", os.ErrNotExist)
		ctx.Logger.Tracef("deep")
		return nil
	})).Handle(wrapperspb.String(""))
	var lines []string
	for _, line := range outcome.Logs() {
		lines = append(lines, fmt.Sprint(line.Level, " ", line.Text, " ", line.Fields))
	}
	want(t, "lines", strings.Join(lines, "\n"), "INFO printed map[]\nWARN slow map[of.node:etl took:3s]\nINFO 2 done map[]\n"+
		"ERROR failed map[a:1 g.err:file does not exist]\nDEBUG-4 deep map[]")
}
