package krt

import (
	"path"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Context is the message in hand, and everything that a handler may do. It is good until the handler returns.
type Context struct {
	// Logger writes lines to the version's log. So do the packages log and log/slog, and what is printed.
	Logger *Logger
	// Configuration is settings that outlive a message.
	Configuration Configuration
	// ObjectStore is the one that the manifest declares for this node.
	ObjectStore ObjectStore
	// Measurement takes points of time series.
	Measurement Measurement
	// Prediction takes what a model predicted.
	Prediction Prediction
	// DB is the runtime's database.
	DB Database

	host     bridge.Host
	node     *node
	received *bridge.Received
	// The message was handled: what a goroutine that was left behind sends would belong to another message.
	over bool
}

// HandlerContext is the name of [Context] in kre-go.
type HandlerContext = Context

// MessageType is the kind of a received message.
type MessageType uint8

const (
	// Undefined is no kind, or one that this contract does not know. Treat it as OK.
	Undefined = MessageType(bridge.Undefined)
	// OK is an ordinary output of the origin node.
	OK = MessageType(bridge.OK)
	// ERROR means that the origin node failed.
	ERROR = MessageType(bridge.Error)
	// EarlyReply is an answer for the caller, sent before the origin node is done.
	EarlyReply = MessageType(bridge.EarlyReply)
	// EarlyExit is an answer for the caller, after which the origin node stops.
	EarlyExit = MessageType(bridge.EarlyExit)
)

// Metadata is what a node is. Constant for the life of the instance.
type Metadata struct {
	// RuntimeID is the runtime (tenant) that the version runs in.
	RuntimeID string
	// Version is the version's name.
	Version string
	// VersionID is the version's id.
	VersionID string
	// Workflow is the workflow's name.
	Workflow string
	// Node is the node's name.
	Node string
	// BasePath is where the package's files are.
	BasePath string
}

// SendOutput sends a message to the nodes that subscribe to this one; from the exitpoint, to the caller. With a
// channel: to the nodes that subscribe to "<node>.<channel>", and to no others.
//
// It means that the host has taken the message over. The message in hand is acknowledged only after the bus has
// accepted everything that was sent; a handler that is run again for the same message sends each output once, as long
// as it sends them in the same order.
func (c *Context) SendOutput(message proto.Message, channel ...string) error {
	return c.send(message, bridge.OutputOK, channel)
}

// SendAny sends a packed message as it is. To hand the message in hand on, [Context.Relay] is cheaper. A nil message:
// as the original does, an ordinary message without payload, if an ERROR is in hand.
func (c *Context) SendAny(message *anypb.Any, channel ...string) error {
	if message == nil && c.IsMessageError() {
		return c.Relay(channel...)
	}
	return c.put(message.GetTypeUrl(), message.GetValue(), bridge.OutputOK, channel)
}

// SendEarlyReply sends an answer for the caller, and the handler goes on. The exitpoint must subscribe to this node and
// hand the answer on.
func (c *Context) SendEarlyReply(message proto.Message, channel ...string) error {
	return c.send(message, bridge.OutputEarlyReply, channel)
}

// SendEarlyExit sends an answer for the caller; the handler should return then. The exitpoint must subscribe to this
// node and hand the answer on.
func (c *Context) SendEarlyExit(message proto.Message, channel ...string) error {
	return c.send(message, bridge.OutputEarlyExit, channel)
}

// Relay sends the payload in hand on as it is, without a copy. If an ERROR is in hand, an ordinary message without
// payload goes out.
func (c *Context) Relay(channel ...string) error {
	return c.RelayAs(OK, channel...)
}

// RelayAs is [Context.Relay] with another kind of message: [EarlyReply] or [EarlyExit].
func (c *Context) RelayAs(kind MessageType, channel ...string) error {
	output, err := outputOf(kind)
	if err != nil {
		return err
	}
	if c.over {
		return refused(&bridge.Refusal{Case: bridge.NoMessage}, "relay")
	}
	return refused(c.host.Relay(output, first(channel)), "relay")
}

// SendAnyAs is [Context.SendAny] with another kind of message: [EarlyReply] or [EarlyExit].
func (c *Context) SendAnyAs(kind MessageType, message *anypb.Any, channel ...string) error {
	output, err := outputOf(kind)
	if err != nil {
		return err
	}
	return c.put(message.GetTypeUrl(), message.GetValue(), output, channel)
}

// MaxPayload is the largest message in bytes that the bus takes, envelope included, before compression.
func (c *Context) MaxPayload() uint64 { return c.host.MaxPayload() }

// GetRequestID is the call that the message belongs to; empty in init.
func (c *Context) GetRequestID() string { return c.received.RequestID }

// FromNode is the node that sent the message: "entrypoint" for a request, empty in init.
func (c *Context) FromNode() string { return c.received.FromNode }

// MessageType is the kind of the message in hand.
func (c *Context) MessageType() MessageType { return MessageType(c.received.Type) }

// IsMessageOK says whether it is an ordinary output.
func (c *Context) IsMessageOK() bool { return c.received.Type == bridge.OK }

// IsMessageError says whether it reports an error of the node that sent it; [Context.MessageError] is its text.
func (c *Context) IsMessageError() bool { return c.received.Type == bridge.Error }

// IsMessageEarlyReply says whether it is an answer for the caller from a node that goes on.
func (c *Context) IsMessageEarlyReply() bool { return c.received.Type == bridge.EarlyReply }

// IsMessageEarlyExit says whether it is an answer for the caller from a node that stopped.
func (c *Context) IsMessageEarlyExit() bool { return c.received.Type == bridge.EarlyExit }

// MessageError is the text of the error that the message reports; it may be empty.
func (c *Context) MessageError() string { return c.received.Error }

// Attempt is 1 the first time, more when the message comes again; 0 in init.
func (c *Context) Attempt() uint32 { return c.host.Attempt() }

// TimeRemaining is how long the handler may go on; false without a limit.
func (c *Context) TimeRemaining() (time.Duration, bool) { return c.host.TimeRemaining() }

// Channel is the channel of the origin node that the message came on; empty for its default output.
func (c *Context) Channel() string { return c.host.Channel() }

// Traceparent is the W3C traceparent of the span in hand, for calls that the node makes itself; empty without one.
func (c *Context) Traceparent() string { return c.host.Traceparent() }

// Metadata is what this node is.
func (c *Context) Metadata() Metadata { return c.node.metadata(c.host) }

// Node is the node's name.
func (c *Context) Node() string { return c.Metadata().Node }

// Path is where a file of the package is; the package os can read it.
func (c *Context) Path(relative string) string { return path.Join(c.Metadata().BasePath, relative) }

func (c *Context) send(message proto.Message, output bridge.OutputType, channel []string) error {
	typeURL, err := typeURL(message)
	if err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	data, err := proto.MarshalOptions{}.MarshalAppend((*buffer)[:0], message)
	if err == nil {
		err = c.put(typeURL, data, output, channel)
	}
	if cap(data) <= keptBuffer {
		*buffer = data
		buffers.Put(buffer)
	}
	return err
}

func (c *Context) put(typeURL string, data []byte, output bridge.OutputType, channel []string) error {
	refusal := &bridge.Refusal{Case: bridge.NoMessage}
	if !c.over {
		refusal = c.host.Send(typeURL, data, output, first(channel))
	}
	if refusal == nil {
		return nil
	}
	return refused(refusal, "send %s", messageName(typeURL))
}

func outputOf(kind MessageType) (bridge.OutputType, error) {
	switch kind {
	case OK, Undefined:
		return bridge.OutputOK, nil
	case EarlyReply:
		return bridge.OutputEarlyReply, nil
	case EarlyExit:
		return bridge.OutputEarlyExit, nil
	default:
		return 0, &Error{Op: "send", Kind: ErrInvalid, Text: "errors are sent by the host alone: return one"}
	}
}

// first is an optional argument. An empty text is none, as in the original.
func first(optional []string) *string {
	if len(optional) == 0 || optional[0] == "" {
		return nil
	}
	return &optional[0]
}
