// Package krt is the SDK for nodes of a KRT v2 version in Go, as WebAssembly components.
//
// A node is a program whose main calls [Start] with the handlers of its messages:
//
//	package main
//
//	import (
//		"errors"
//
//		krt "github.com/konstellation-io/krt/guest-sdk/go"
//
//		"greeter/messages" // made by `krt build` from the version's .proto files
//	)
//
//	func greet(ctx *krt.Context, greeting *messages.Greeting) error {
//		if greeting.Name == "" {
//			return errors.New("a greeting needs a name") // rejects the message
//		}
//		return ctx.SendOutput(&messages.Answer{Text: "Hello, " + greeting.Name + "!"})
//	}
//
//	func main() { krt.Start(nil, krt.On(greet)) }
//
// `krt build` makes the component with the standard Go toolchain. What handlers do is tested natively by `go test`, with
// package krttest.
//
// # Messages
//
// [On] makes a handler of a function that takes one protobuf type. A [Handler] takes any message, errors and early
// answers included. Which handler a message goes to is decided by the node that it comes from.
//
// # Errors
//
// A handler that returns an error rejects the message: an ERROR with the error's text goes out. An error that
// [Transient] made, or one that says that the bus, a store or the database cannot be reached ([ErrUnavailable]), has the
// message come again; wrapping with %w keeps that. A panic rejects the message, too, and its stack is in the log.
// What Go itself cannot recover from (a deadlock, memory exhausted, os.Exit) ends the instance, and the message comes
// again with a new one.
//
// # What a node gets from the standard library
//
// os.Getenv reads the version's configuration variables, package os the package's files (see [Context.Path]); time and
// randomness work; log, log/slog and what is printed become lines of the log. Everything else is denied unless the
// manifest allows it. Package variables live as long as the instance.
//
// Goroutines work, on one thread, and only while a handler or init runs: wait for them before returning. What is left
// runs on during a later message, when the context of its own is over.
package krt
