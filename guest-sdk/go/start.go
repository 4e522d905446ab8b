package krt

import (
	"fmt"
	"log/slog"
	"os"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Handler handles one message of any kind. The message is nil when an ERROR is in hand. Any error that it returns
// rejects the message with the error's text, but for those that [IsTransient] tells. [On] makes handlers that take one
// protobuf message.
type Handler func(ctx *Context, message *anypb.Any) error

// HandlerInit is called once per instance, before the first message. If it fails, the node does not become ready; a
// [Transient] failure is tried again.
type HandlerInit func(ctx *Context) error

// Start says what the node does, and is called once, by main. custom goes by the node that a message comes from;
// fallback takes the rest. Without a handler for its origin a message is rejected.
//
// Each of them may be nil, as long as there is a handler. In a component Start returns at once: the host calls the
// handlers, after main has returned.
func Start(init HandlerInit, fallback Handler, custom ...map[string]Handler) {
	handlers := map[string]Handler{}
	for _, origins := range custom {
		for origin, handler := range origins {
			if handler != nil {
				handlers[origin] = handler
			}
		}
	}
	if !bridge.Started(&node{init: init, fallback: fallback, handlers: handlers}) {
		fmt.Fprintln(os.Stderr, "this is a node of a KRT version: `krt build` makes a component of it, `krt run` runs it")
		os.Exit(2)
	}
}

// node is what Start was given. It lives as long as the instance.
type node struct {
	init        HandlerInit
	fallback    Handler
	handlers    map[string]Handler
	initialised bool
	known       *Metadata
	logger      *Logger
}

// Init runs init once.
func (n *node) Init(host bridge.Host) *bridge.Failure {
	if n.initialised {
		return nil
	}
	if n.fallback == nil && len(n.handlers) == 0 {
		return &bridge.Failure{Text: "the node has no handler: give krt.Start one"}
	}
	if n.init != nil {
		ctx := n.context(host, &bridge.Received{})
		err := guarded(ctx, func() error { return n.init(ctx) })
		ctx.over = true
		if err != nil {
			return failure(err)
		}
	}
	n.initialised = true
	return nil
}

// Handle hands one message to its handler.
func (n *node) Handle(host bridge.Host, received *bridge.Received) *bridge.Failure {
	// Both marks count, the text and the type: peers set either.
	if received.Error != "" {
		received.Type = bridge.Error
	}
	if failed := n.Init(host); failed != nil {
		return failed
	}
	ctx := n.context(host, received)
	handler := n.handlers[received.FromNode]
	if handler == nil {
		handler = n.fallback
	}
	if handler == nil {
		return &bridge.Failure{Text: fmt.Sprintf(
			"node %q has no handler for messages of node %q, and no default one", ctx.Node(), received.FromNode)}
	}
	err := call(ctx, handler)
	ctx.over = true
	if err != nil {
		return failure(err)
	}
	return nil
}

func (n *node) context(host bridge.Host, received *bridge.Received) *Context {
	if n.logger == nil || n.logger.host != host {
		n.logger = newLogger(host)
		// The packages log and log/slog go to the host from here on.
		slog.SetDefault(n.logger.Logger)
	}
	return &Context{
		Logger:        n.logger,
		Configuration: Configuration{host},
		ObjectStore:   ObjectStore{host},
		Measurement:   Measurement{host},
		Prediction:    Prediction{host},
		DB:            Database{host},
		host:          host,
		node:          n,
		received:      received,
	}
}

func (n *node) metadata(host bridge.Host) Metadata {
	if n.known == nil {
		known := Metadata(host.Metadata())
		n.known = &known
	}
	return *n.known
}

// call is guarded(handler) without the closure.
func call(ctx *Context, handler Handler) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicked(ctx, value)
		}
	}()
	return handler(ctx, ctx.received.Payload)
}

// guarded makes an error of a panic: a trap would end the instance and have the message delivered again.
func guarded(ctx *Context, f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicked(ctx, value)
		}
	}()
	return f()
}

func failure(err error) *bridge.Failure {
	return &bridge.Failure{Transient: IsTransient(err), Text: err.Error()}
}
