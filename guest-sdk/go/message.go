package krt

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// What a type URL starts with, as every other runner writes it.
const typeURLPrefix = "type.googleapis.com/"

// Buffers larger than this are not kept for the next message.
const keptBuffer = 256 << 10

var (
	// The type URL of what was sent last: most nodes send one type.
	lastType atomic.Pointer[sentType]
	// Memory for serialised messages: the host copies what it is given.
	buffers = sync.Pool{New: func() any { return new([]byte) }}
)

type sentType struct {
	kind protoreflect.MessageType
	url  string
}

func typeURL(message proto.Message) (string, error) {
	if message == nil {
		return "", errors.New("send: the message is nil")
	}
	kind := message.ProtoReflect().Type()
	last := lastType.Load()
	if last == nil || last.kind != kind {
		last = &sentType{kind, typeURLPrefix + string(kind.Descriptor().FullName())}
		lastType.Store(last)
	}
	return last.url, nil
}

// messageName is what follows the last '/' of a type URL.
func messageName(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '/')+1:] }

// On makes a [Handler] of a function that takes one protobuf message:
//
//	krt.Start(nil, krt.On(greet))
//
//	func greet(ctx *krt.Context, greeting *messages.Greeting) error { … }
//
// The function is called for ordinary messages only:
//   - an ERROR is passed on: the message is rejected with the same text, as if the handler had failed on it;
//   - early replies and exits are skipped: they are answers for the caller, and the exitpoint's business;
//   - a message of another type is rejected, with both types' names.
func On[T proto.Message](handle func(ctx *Context, message T) error) Handler {
	var none T
	kind := none.ProtoReflect().Type()
	return func(ctx *Context, packed *anypb.Any) error {
		switch ctx.MessageType() {
		case ERROR:
			if ctx.MessageError() == "" {
				return fmt.Errorf("node %q failed without saying why", ctx.FromNode())
			}
			return errors.New(ctx.MessageError())
		case EarlyReply, EarlyExit:
			ctx.Logger.Debug("skipped an early answer: it is for the caller", "from", ctx.FromNode())
			return nil
		}
		message := kind.New().Interface().(T)
		if err := unpack(packed, kind.Descriptor().FullName(), message); err != nil {
			return err
		}
		return handle(ctx, message)
	}
}

func unpack(packed *anypb.Any, expected protoreflect.FullName, message proto.Message) error {
	if packed == nil {
		return fmt.Errorf("the message has no payload, a %q was expected", expected)
	}
	if found := messageName(packed.TypeUrl); found != string(expected) {
		return fmt.Errorf("the payload is a %q, not a %q", found, expected)
	}
	if err := proto.Unmarshal(packed.Value, message); err != nil {
		return fmt.Errorf("the payload is not a valid %q: %w", expected, err)
	}
	return nil
}
