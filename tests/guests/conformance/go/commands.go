package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"conformance/messages"
)

// failsDeep is in no language a fine place to be.
//
//go:noinline
func failsDeep(text string, hard bool) {
	if hard {
		slog.Error(text, "in", "failsDeep")
		os.Exit(3)
	}
	panic(text)
}

func saying(text string) *messages.Answer { return &messages.Answer{Text: text} }

func run(ctx *krt.Context, command *messages.Command) (*messages.Answer, error) {
	arg := func(n int) string {
		if n < len(command.Args) {
			return command.Args[n]
		}
		return ""
	}
	number := func(n int) int {
		parsed, err := strconv.Atoi(arg(n))
		if err != nil {
			panic(err)
		}
		return parsed
	}
	optional := func(n int) []string { return command.Args[min(n, len(command.Args)):] }
	scope := func(n int) []krt.Scope {
		if len(command.Args) <= n {
			return nil
		}
		return []krt.Scope{krt.Scope(arg(n))}
	}
	ok := func(err error) (*messages.Answer, error) { return saying("ok"), err }
	nothing := func(err error) (*messages.Answer, error) { return nil, err }
	switch command.Name {
	case "":
		return saying("empty"), nil
	case "echo":
		return &messages.Answer{Text: arg(0), Items: command.Args, Data: command.Data}, nil
	case "repeat":
		data := make([]byte, number(0))
		for i := range data {
			data[i] = byte(i % 251)
		}
		return &messages.Answer{Data: data}, nil
	case "silent":
		return nil, nil
	case "many":
		for n := range number(0) {
			if err := ctx.SendOutput(saying(strconv.Itoa(n))); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case "channel":
		return nothing(ctx.SendOutput(saying("on "+arg(0)), arg(0)))
	case "any":
		data, err := proto.Marshal(saying("packed"))
		if err != nil {
			return nil, err
		}
		return nothing(ctx.SendAny(&anypb.Any{TypeUrl: arg(0), Value: data}))
	case "relay":
		return nothing(ctx.Relay(optional(0)...))
	case "second":
		inner := &messages.Command{Name: arg(0), Args: optional(1), Data: command.Data}
		return nothing(ctx.SendOutput(inner, "second"))
	case "stranger":
		return nothing(ctx.SendOutput(&messages.Stranger{}))
	case "early-reply":
		return saying(arg(1)), ctx.SendEarlyReply(saying(arg(0)))
	case "early-exit":
		return nothing(ctx.SendEarlyExit(saying(arg(0))))
	case "too-many":
		for range number(0) {
			if err := ctx.SendOutput(&messages.Answer{}, arg(1)); err != nil {
				return nil, errors.New("error:" + caseOf(err))
			}
		}
		return ok(nil)
	case "double":
		return &messages.Answer{Data: append(command.Data, command.Data...)}, nil
	case "max-payload":
		return saying(fmt.Sprint(ctx.MaxPayload())), nil
	case "facts":
		return &messages.Answer{Items: facts(ctx)}, nil
	case "init":
		return &messages.Answer{Items: seen}, nil
	case "count":
		count++
		return saying(strconv.Itoa(count)), nil
	case "reject":
		return nil, errors.New(arg(0))
	case "transient":
		if int(ctx.Attempt()) < number(0) {
			return nil, krt.Transient(errors.New("not yet"))
		}
		return saying(fmt.Sprint(ctx.Attempt())), nil
	case "send-then-reject":
		if err := ctx.SendOutput(saying("kept"), "left"); err != nil {
			return nil, err
		}
		return nil, errors.New(arg(0))
	case "throw", "panic":
		failsDeep(arg(0), command.Name == "panic")
		return ok(nil)
	case "spin":
		for {
		}
	case "hog":
		var kept [][]byte
		for {
			piece := make([]byte, 1<<20)
			for i := range piece {
				piece[i] = 1
			}
			kept = append(kept, piece)
		}
	case "get":
		value, err := ctx.Configuration.Get(arg(0), scope(1)...)
		if errors.Is(err, krt.ErrNotFound) {
			return saying("none"), nil
		}
		return &messages.Answer{Text: "value", Items: []string{value}}, err
	case "set":
		return ok(ctx.Configuration.Set(arg(0), arg(1), scope(2)...))
	case "set-large":
		return ok(ctx.Configuration.Set(arg(0), strings.Repeat("x", number(1))))
	case "delete":
		return ok(ctx.Configuration.Delete(arg(0), scope(1)...))
	case "save":
		return ok(ctx.ObjectStore.Save(arg(0), command.Data))
	case "load":
		data, err := ctx.ObjectStore.Get(arg(0))
		return &messages.Answer{Data: data}, err
	case "list":
		names, err := ctx.ObjectStore.List(optional(0)...)
		return &messages.Answer{Items: names}, err
	case "remove":
		return ok(ctx.ObjectStore.Delete(arg(0)))
	case "purge":
		count, err := ctx.ObjectStore.Purge(optional(0)...)
		return saying(strconv.Itoa(count)), err
	case "measure":
		fields := map[string]any{"float": 1.5, "signed": -2, "unsigned": uint(3), "boolean": true, "text": "ä b"}
		var at []time.Time
		if len(command.Args) > 1 {
			at = append(at, time.Unix(0, int64(number(1))))
		}
		return ok(ctx.Measurement.Save(arg(0), fields, map[string]string{"kind": "x y"}, at...))
	case "measure-nan":
		return ok(ctx.Measurement.Save(arg(0), map[string]any{"float": math.NaN()}, nil))
	case "measure-nothing":
		return ok(ctx.Measurement.Save(arg(0), nil, nil))
	case "predict":
		var at time.Time
		if len(command.Args) > 3 {
			at = time.Unix(int64(number(3)), 0)
		}
		var extra []any
		if arg(2) != "" {
			extra = append(extra, json.RawMessage(arg(2)))
		}
		return ok(ctx.Prediction.Save(at, arg(0), arg(1), extra...))
	case "mispredict":
		problem := krt.ErrNewLabels
		if arg(0) == "missing-values" {
			problem = krt.ErrMissingValues
		}
		return ok(ctx.Prediction.SaveError(problem))
	case "document":
		return ok(ctx.DB.Save(arg(0), json.RawMessage(arg(1))))
	case "find":
		return find(ctx, arg(0), arg(1))
	case "log":
		var fields []any
		if len(command.Args) > 3 {
			fields = []any{arg(2), arg(3)}
		}
		ctx.Logger.Log(context.Background(), levels[arg(0)], arg(1), fields...)
		return ok(nil)
	case "native-log":
		slog.Warn(arg(0))
		return ok(nil)
	case "min-level":
		for _, name := range []string{"trace", "debug", "info", "warn"} {
			if ctx.Logger.Enabled(context.Background(), levels[name]) {
				return saying(name), nil
			}
		}
		return saying("error"), nil
	case "print":
		fmt.Println(arg(0))
		fmt.Fprintln(os.Stderr, arg(0)+"!")
		return ok(nil)
	case "env":
		value, found := os.LookupEnv(arg(0))
		if !found {
			return saying("none"), nil
		}
		return &messages.Answer{Text: "value", Items: []string{value}}, nil
	case "read":
		data, err := os.ReadFile(ctx.Path(arg(0)))
		if err != nil {
			return saying("missing"), nil
		}
		return &messages.Answer{Data: data}, nil
	case "write":
		return unless(os.WriteFile(ctx.Path(arg(0)), []byte("x"), 0o644), "written"), nil
	case "outside":
		_, err := os.ReadFile(arg(0))
		return unless(err, "read"), nil
	case "clock":
		start := time.Now()
		time.Sleep(20 * time.Millisecond)
		return &messages.Answer{Items: []string{fmt.Sprint(time.Now().UnixNano()), fmt.Sprint(int64(time.Since(start)))}}, nil
	case "random":
		data := make([]byte, 16)
		_, err := rand.Read(data)
		return &messages.Answer{Data: data}, err
	case "connect":
		return connect(arg(0)), nil
	default:
		return nil, fmt.Errorf("unknown command %s", command.Name)
	}
}

var levels = map[string]slog.Level{
	"trace": krt.LevelTrace, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func find(ctx *krt.Context, collection, query string) (*messages.Answer, error) {
	var documents []json.RawMessage
	var wanted krt.QueryData
	if err := json.Unmarshal([]byte(query), &wanted); err != nil {
		return nil, err
	}
	err := ctx.DB.Find(collection, wanted, &documents)
	answer := &messages.Answer{}
	for _, document := range documents {
		answer.Items = append(answer.Items, string(document))
	}
	return answer, err
}

func unless(err error, text string) *messages.Answer {
	if err != nil {
		return saying("denied")
	}
	return saying(text)
}

func connect(address string) *messages.Answer {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return saying("denied")
	}
	defer connection.Close()
	// Go's own WASI has a network of its own, within the program: only who is there talks.
	fmt.Fprintln(connection)
	if _, err := bufio.NewReader(connection).ReadString('\n'); err != nil {
		return saying("denied")
	}
	return saying("connected")
}

func facts(ctx *krt.Context) []string {
	metadata := ctx.Metadata()
	left := "-"
	if remaining, limited := ctx.TimeRemaining(); limited {
		left = fmt.Sprint(int64(remaining))
	}
	return []string{
		"node=" + metadata.Node,
		"workflow=" + metadata.Workflow,
		"version=" + metadata.Version,
		"version-id=" + metadata.VersionID,
		"runtime-id=" + metadata.RuntimeID,
		"base-path=" + metadata.BasePath,
		"request-id=" + ctx.GetRequestID(),
		"from=" + ctx.FromNode(),
		"type=" + kind(ctx),
		"channel=" + orNone(ctx.Channel()),
		fmt.Sprint("attempt=", ctx.Attempt()),
		"time-remaining=" + left,
		"traceparent=" + orNone(ctx.Traceparent()),
	}
}
