// Package krttest plays the host's part natively: handlers are tested by `go test`, without wasm and without a bus.
//
// A [Host] has the settings, objects and facts that a test needs; handling a message gives an [Outcome] with what was
// sent, logged and measured. The host lives on between messages, as the real one's stores do.
//
//	func TestAPrizeIsSpam(t *testing.T) {
//		host := krttest.New(t).Node(main).From("etl")
//		outcome := host.Handle(&messages.Email{Body: "a prize"})
//		if channel := outcome.Outputs()[0].Channel; channel != "spam" {
//			t.Errorf("sent on %q", channel)
//		}
//	}
package krttest

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Host is a host for unit tests. Everything has a default: a request of the entrypoint, empty stores, no time limit.
// Its methods return it, so that they can be chained. It is for one test at a time: lines that are logged by the
// packages log and log/slog, and not by the context's Logger, go to the host that handled a message last.
type Host struct {
	t         testing.TB
	runner    bridge.Runner
	state     *state
	requestID string
	from      string
	kind      krt.MessageType
}

// New is a host with nothing in it.
func New(t testing.TB) *Host {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	return &Host{
		t:         t,
		state:     newState(),
		requestID: "00000000-0000-4000-8000-000000000000",
		from:      "entrypoint",
		kind:      krt.OK,
	}
}

// Node says what is tested: the program's own main, which calls [krt.Start].
func (h *Host) Node(main func()) *Host {
	h.t.Helper()
	if h.runner = bridge.Capture(main); h.runner == nil {
		h.t.Fatal("main did not call krt.Start")
	}
	return h
}

// Handler says what is tested: one handler, for messages of any node.
func (h *Host) Handler(handler krt.Handler) *Host {
	h.t.Helper()
	return h.Node(func() { krt.Start(nil, handler) })
}

// Config puts a value into the configuration.
func (h *Host) Config(scope krt.Scope, key, value string) *Host {
	h.state.configuration[setting{scope, key}] = value
	return h
}

// ObjectStore declares an object store, as the manifest does. It is empty unless objects are added.
func (h *Host) ObjectStore() *Host {
	h.state.declared = true
	return h
}

// Object declares an object store and puts an object into it.
func (h *Host) Object(name string, data []byte) *Host {
	h.state.objects[name] = append([]byte{}, data...)
	return h.ObjectStore()
}

// Document puts a document into the database: whatever [encoding/json] makes an object of.
func (h *Host) Document(collection string, document any) *Host {
	h.t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		h.t.Fatal(err)
	}
	parsed, err := object(string(text))
	if err != nil {
		h.t.Fatal(err)
	}
	h.state.documents = append(h.state.documents, stored{collection, parsed})
	return h
}

// Package is a folder whose files [krt.Context.Path] finds. Default: the test's own folder.
func (h *Host) Package(folder string) *Host {
	h.state.metadata.BasePath = folder
	return h
}

// From is the node that the messages come from. Default: entrypoint.
func (h *Host) From(node string) *Host {
	h.from = node
	return h
}

// MessageType is the kind of the messages. Default: [krt.OK].
func (h *Host) MessageType(kind krt.MessageType) *Host {
	h.kind = kind
	return h
}

// RequestID is the call that the messages belong to.
func (h *Host) RequestID(id string) *Host {
	h.requestID = id
	return h
}

// Channel is the channel that the messages come on.
func (h *Host) Channel(channel string) *Host {
	h.state.channel = channel
	return h
}

// Attempt is which attempt it is. Default: 1.
func (h *Host) Attempt(attempt uint32) *Host {
	h.state.attempt = attempt
	return h
}

// TimeRemaining is how long a handler may take, as it is told. Nothing enforces it.
func (h *Host) TimeRemaining(limit time.Duration) *Host {
	h.state.limit = &limit
	return h
}

// Traceparent is the trace that the messages belong to.
func (h *Host) Traceparent(traceparent string) *Host {
	h.state.traceparent = traceparent
	return h
}

// Metadata is what the node is told that it is.
func (h *Host) Metadata(metadata krt.Metadata) *Host {
	h.state.metadata = bridge.Metadata(metadata)
	return h
}

// MaxPayload is the largest message that the bus takes. Default: 1 MiB, as the original's chart leaves it.
func (h *Host) MaxPayload(bytes uint64) *Host {
	h.state.maxPayload = bytes
	return h
}

// Unavailable makes stores and bus fail: they cannot be reached.
func (h *Host) Unavailable() *Host {
	h.state.unavailable = true
	return h
}

// Init runs the node's init, if it has not run yet.
func (h *Host) Init() *Outcome {
	h.t.Helper()
	h.state.begin(false, nil)
	return h.ended(h.tested().Init(h.state))
}

// Handle hands the node a message, after init if that has not run yet.
func (h *Host) Handle(message proto.Message) *Outcome {
	h.t.Helper()
	packed, err := anypb.New(message)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.HandleAny(packed)
}

// HandleAny hands the node a packed message; nil for one without payload.
func (h *Host) HandleAny(message *anypb.Any) *Outcome {
	h.t.Helper()
	return h.deliver(&bridge.Received{Type: bridge.MessageType(h.kind), Payload: message})
}

// HandleError hands the node an ERROR with this text.
func (h *Host) HandleError(text string) *Outcome {
	h.t.Helper()
	return h.deliver(&bridge.Received{Type: bridge.Error, HasError: true, Error: text})
}

func (h *Host) deliver(received *bridge.Received) *Outcome {
	h.t.Helper()
	runner := h.tested()
	h.state.begin(false, nil)
	if failure := runner.Init(h.state); failure != nil {
		return h.ended(failure)
	}
	h.state.inHand, h.state.payload = true, received.Payload
	received.RequestID, received.FromNode = h.requestID, h.from
	return h.ended(runner.Handle(h.state, received))
}

func (h *Host) ended(failure *bridge.Failure) *Outcome {
	outcome := &Outcome{t: h.t, failure: failure, done: h.state.done}
	h.state.inHand, h.state.done = false, done{}
	return outcome
}

func (h *Host) tested() bridge.Runner {
	h.t.Helper()
	if h.runner == nil {
		h.t.Fatal("say what is tested: krttest.New(t).Node(main)")
	}
	return h.runner
}

// Setting is a setting as the node left it.
func (h *Host) Setting(scope krt.Scope, key string) (value string, found bool) {
	value, found = h.state.configuration[setting{scope, key}]
	return value, found
}

// StoredObject is an object as the node left it; nil when there is none.
func (h *Host) StoredObject(name string) []byte { return h.state.objects[name] }

// Documents is the documents of a collection, as compact JSON with sorted keys.
func (h *Host) Documents(collection string) []string {
	documents := []string{}
	for _, document := range h.state.documents {
		if document.collection == collection {
			documents = append(documents, compact(document.value))
		}
	}
	return documents
}
