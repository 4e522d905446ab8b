// Package bridge is what the SDK needs of whoever runs the node: the imports of the world in Go's types, and the way
// in. Two are on the other side: the component's imports and exports (package abi), and the test kit.
package bridge

import (
	"time"

	"google.golang.org/protobuf/types/known/anypb"
)

// Case is why the host refused: the cases of all error variants of the contract.
type Case uint8

// The cases. Other is also for what a later contract may add.
const (
	Other Case = iota
	NoMessage
	TooLarge
	InvalidChannel
	InvalidTypeURL
	TooMany
	Unavailable
	InvalidKey
	InvalidName
	Invalid
	Denied
	NotDeclared
	NotFound
	NotConfigured
	Dropped
)

// String is the contract's name of the case.
func (c Case) String() string {
	return [...]string{"other", "no-message", "too-large", "invalid-channel", "invalid-type-url", "too-many", "unavailable",
		"invalid-key", "invalid-name", "invalid", "denied", "not-declared", "not-found", "not-configured", "dropped"}[c]
}

// Refusal is an error of an import. Limit belongs to TooLarge and TooMany, Text to the others.
type Refusal struct {
	Case  Case
	Text  string
	Limit uint64
}

// MessageType is the kind of a received message, numbered as in the contract.
type MessageType uint8

// The kinds.
const (
	Undefined MessageType = iota
	OK
	Error
	EarlyReply
	EarlyExit
)

// OutputType is the kind of a message to send, numbered as in the contract.
type OutputType uint8

// The kinds.
const (
	OutputOK OutputType = iota
	OutputEarlyReply
	OutputEarlyExit
)

// Scope of a setting, numbered as in the contract.
type Scope uint8

// The scopes. NoScope leaves the choice to the host.
const (
	Node Scope = iota
	Workflow
	Project
	NoScope
)

// Level of a log line, numbered as in the contract.
type Level uint8

// The levels, least first.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Fault
)

// Pair is a name with a text.
type Pair struct{ Name, Text string }

// Field of a measurement. Value is a float64, int64, uint64, bool or string.
type Field struct {
	Name  string
	Value any
}

// Problem is why there is no prediction, numbered as in the contract.
type Problem uint8

// The problems.
const (
	MissingValues Problem = iota
	NewLabels
)

// Metadata is what a node is.
type Metadata struct{ RuntimeID, Version, VersionID, Workflow, Node, BasePath string }

// Received is one message with its envelope. Nothing in it is shared with the host.
type Received struct {
	RequestID string
	FromNode  string
	Type      MessageType
	Payload   *anypb.Any
	HasError  bool
	Error     string
}

// Failure is what an export returns when it fails.
type Failure struct {
	Transient bool
	Text      string
}

// Host is the imports of the world. Optional texts are empty when there are none: no text that is legal there is.
// A nil time is now. A nil pattern is none.
type Host interface {
	Send(typeURL string, data []byte, output OutputType, channel *string) *Refusal
	Relay(output OutputType, channel *string) *Refusal
	MaxPayload() uint64

	Attempt() uint32
	TimeRemaining() (time.Duration, bool)
	Channel() string
	Traceparent() string

	Get(key string, scope Scope) (value string, found bool, refusal *Refusal)
	Set(key, value string, scope Scope) *Refusal
	Delete(key string, scope Scope) *Refusal

	GetObject(name string) ([]byte, *Refusal)
	SaveObject(name string, data []byte) *Refusal
	ListObjects(pattern *string) ([]string, *Refusal)
	DeleteObject(name string) *Refusal
	PurgeObjects(pattern *string) (uint32, *Refusal)

	Measure(name string, fields []Field, tags []Pair, at *time.Time) *Refusal
	SavePrediction(predicted, actual string, extra *string, at *time.Time) *Refusal
	SaveNoPrediction(problem Problem, extra *string, at *time.Time) *Refusal
	SaveDocument(collection, document string) *Refusal
	FindDocuments(collection, query string) ([]string, *Refusal)

	MinLevel() Level
	Log(level Level, text string, fields []Pair)
	Metadata() Metadata
}

// Runner is a node as its host sees it.
type Runner interface {
	Init(Host) *Failure
	Handle(Host, *Received) *Failure
}

// started is where Start hands its node to.
var started func(Runner)

// Started hands a node over. False: nobody runs nodes here.
func Started(node Runner) bool {
	if started == nil {
		return false
	}
	started(node)
	return true
}

// Capture runs main, and returns the node that it starts; nil when it starts none.
func Capture(main func()) (node Runner) {
	before := started
	started = func(runner Runner) { node = runner }
	defer func() { started = before }()
	main()
	return node
}
