package krttest

import (
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Outcome is what a handler did with one message.
type Outcome struct {
	t       testing.TB
	failure *bridge.Failure
	done    done
}

// done is what one message made a handler do.
type done struct {
	outputs      []Output
	logs         []LogLine
	measurements []Point
	predictions  []Predicted
}

// Output is one message that a handler sent.
type Output struct {
	// Type is its kind: OK, EarlyReply or EarlyExit.
	Type krt.MessageType
	// Channel it was sent on; empty for the node's default output.
	Channel string
	// Message is nil only when an ERROR was handed on.
	Message *anypb.Any
}

// LogLine is one line that a handler logged.
type LogLine struct {
	Level  slog.Level
	Text   string
	Fields map[string]string
}

// Point is one measurement that a handler saved.
type Point struct {
	Name string
	// Fields are float64, int64, uint64, bool or string.
	Fields map[string]any
	Tags   map[string]string
	// Time is the zero time when the handler gave none.
	Time time.Time
}

// Predicted is one prediction that a handler saved.
type Predicted struct {
	Predicted, True string
	// Error is why there was none; empty if there was one.
	Error krt.SaveMetricErr
	// Extra is the JSON that was kept with it; empty without one.
	Extra string
	// Time is the zero time when the handler gave none.
	Time time.Time
}

// Failed says whether the handler failed.
func (o *Outcome) Failed() bool { return o.failure != nil }

// Failure is the text with which the handler failed; empty if it did not.
func (o *Outcome) Failure() string {
	if o.failure == nil {
		return ""
	}
	return o.failure.Text
}

// Transient says whether the handler failed, and asks for another attempt.
func (o *Outcome) Transient() bool { return o.failure != nil && o.failure.Transient }

// Outputs is what it sent, in order. A handler that fails has sent what it sent before.
func (o *Outcome) Outputs() []Output { return o.done.outputs }

// Logs is what it logged, init's lines first if that ran.
func (o *Outcome) Logs() []LogLine { return o.done.logs }

// Measurements is what it measured.
func (o *Outcome) Measurements() []Point { return o.done.measurements }

// Predictions is the predictions that it saved.
func (o *Outcome) Predictions() []Predicted { return o.done.predictions }

// Sent is all that a handler sent, as Ts. The test fails when the handler did, or sent something else.
func Sent[T proto.Message](o *Outcome) []T {
	o.t.Helper()
	if o.failure != nil {
		o.t.Fatalf("the handler failed: %s", o.failure.Text)
	}
	sent := make([]T, 0, len(o.done.outputs))
	for i, output := range o.done.outputs {
		var none T
		message := none.ProtoReflect().New().Interface().(T)
		if err := output.Message.UnmarshalTo(message); err != nil {
			o.t.Fatalf("output %d: %v", i, err)
		}
		sent = append(sent, message)
	}
	return sent
}
