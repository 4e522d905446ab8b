package krttest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/anypb"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// state is the imports of the world, as a Host answers them: with the host's own rules and errors.
type state struct {
	configuration map[setting]string
	objects       map[string][]byte
	declared      bool
	documents     []stored
	metadata      bridge.Metadata
	channel       string
	traceparent   string
	attempt       uint32
	limit         *time.Duration
	maxPayload    uint64
	unavailable   bool

	inHand  bool
	payload *anypb.Any
	done    done
}

type setting struct {
	scope krt.Scope
	key   string
}

type stored struct {
	collection string
	value      map[string]any
}

var scopes = map[bridge.Scope]krt.Scope{
	bridge.Node: krt.ScopeNode, bridge.Workflow: krt.ScopeWorkflow, bridge.Project: krt.ScopeProject,
}

func newState() *state {
	return &state{
		configuration: map[setting]string{},
		objects:       map[string][]byte{},
		metadata: bridge.Metadata{
			RuntimeID: "runtime", Version: "version", VersionID: "000000000000000000000000",
			Workflow: "workflow", Node: "node", BasePath: ".",
		},
		attempt:    1,
		maxPayload: 1 << 20,
	}
}

func (s *state) begin(inHand bool, payload *anypb.Any) { s.inHand, s.payload = inHand, payload }

var away = &bridge.Refusal{Case: bridge.Unavailable, Text: "the test host says so"}

func (s *state) Send(typeURL string, data []byte, output bridge.OutputType, channel *string) *bridge.Refusal {
	// The buffer is the sender's.
	return s.put(&anypb.Any{TypeUrl: typeURL, Value: slices.Clone(data)}, output, channel)
}

func (s *state) Relay(output bridge.OutputType, channel *string) *bridge.Refusal {
	return s.put(s.payload, output, channel)
}

func (s *state) put(message *anypb.Any, output bridge.OutputType, channel *string) *bridge.Refusal {
	sent := Output{Message: message}
	switch output {
	case bridge.OutputOK:
		sent.Type = krt.OK
	case bridge.OutputEarlyReply:
		sent.Type = krt.EarlyReply
	case bridge.OutputEarlyExit:
		sent.Type = krt.EarlyExit
	}
	if channel != nil {
		sent.Channel = *channel
	}
	switch {
	case !s.inHand:
		return &bridge.Refusal{Case: bridge.NoMessage}
	case channel != nil && !isToken(*channel):
		return &bridge.Refusal{Case: bridge.InvalidChannel, Text: *channel}
	case message != nil && strings.HasSuffix("/"+message.TypeUrl, "/"):
		return &bridge.Refusal{Case: bridge.InvalidTypeURL, Text: message.TypeUrl}
	case message != nil && uint64(len(message.Value)) > s.maxPayload:
		return &bridge.Refusal{Case: bridge.TooLarge, Limit: s.maxPayload}
	case s.unavailable:
		return away
	}
	s.done.outputs = append(s.done.outputs, sent)
	return nil
}

func isToken(channel string) bool {
	return channel != "" && !strings.ContainsFunc(channel, func(r rune) bool {
		return strings.ContainsRune(".*> ", r) || unicode.IsControl(r)
	})
}

func (s *state) MaxPayload() uint64 { return s.maxPayload }

func (s *state) Attempt() uint32 {
	if !s.inHand {
		return 0
	}
	return s.attempt
}

func (s *state) TimeRemaining() (time.Duration, bool) {
	if s.limit == nil {
		return 0, false
	}
	return *s.limit, true
}

func (s *state) Channel() string {
	if !s.inHand {
		return ""
	}
	return s.channel
}

func (s *state) Traceparent() string {
	if !s.inHand {
		return ""
	}
	return s.traceparent
}

var legalKey = regexp.MustCompile(`^[-/_=a-zA-Z0-9]([-/_=.a-zA-Z0-9]*[-/_=a-zA-Z0-9])?$`)

func (s *state) checkKey(key string) *bridge.Refusal {
	if s.unavailable {
		return away
	}
	if !legalKey.MatchString(key) {
		text := fmt.Sprintf("%q: letters, digits and -/_=. only, no dot at either end", key)
		return &bridge.Refusal{Case: bridge.InvalidKey, Text: text}
	}
	return nil
}

func (s *state) Get(key string, scope bridge.Scope) (string, bool, *bridge.Refusal) {
	if refusal := s.checkKey(key); refusal != nil {
		return "", false, refusal
	}
	looked := []bridge.Scope{scope}
	if scope == bridge.NoScope {
		looked = []bridge.Scope{bridge.Node, bridge.Workflow, bridge.Project}
	}
	for _, scope := range looked {
		if value, found := s.configuration[setting{scopes[scope], key}]; found {
			return value, true, nil
		}
	}
	return "", false, nil
}

func (s *state) Set(key, value string, scope bridge.Scope) *bridge.Refusal {
	refusal := s.checkKey(key)
	if refusal == nil {
		s.configuration[setting{orNode(scope), key}] = value
	}
	return refusal
}

func (s *state) Delete(key string, scope bridge.Scope) *bridge.Refusal {
	refusal := s.checkKey(key)
	if refusal == nil {
		delete(s.configuration, setting{orNode(scope), key})
	}
	return refusal
}

func orNode(scope bridge.Scope) krt.Scope {
	if scope == bridge.NoScope {
		return krt.ScopeNode
	}
	return scopes[scope]
}

func (s *state) checkObjects() *bridge.Refusal {
	if !s.declared {
		return &bridge.Refusal{Case: bridge.NotDeclared}
	}
	if s.unavailable {
		return away
	}
	return nil
}

func (s *state) GetObject(name string) ([]byte, *bridge.Refusal) {
	if refusal := s.checkObjects(); refusal != nil {
		return nil, refusal
	}
	data, found := s.objects[name]
	if !found {
		return nil, &bridge.Refusal{Case: bridge.NotFound}
	}
	return slices.Clone(data), nil
}

func (s *state) SaveObject(name string, data []byte) *bridge.Refusal {
	if refusal := s.checkObjects(); refusal != nil {
		return refusal
	}
	if name == "" || strings.ContainsFunc(name, unicode.IsControl) {
		return &bridge.Refusal{Case: bridge.InvalidName, Text: fmt.Sprintf("%q", name)}
	}
	s.objects[name] = append([]byte{}, data...)
	return nil
}

func (s *state) ListObjects(pattern *string) ([]string, *bridge.Refusal) {
	if refusal := s.checkObjects(); refusal != nil {
		return nil, refusal
	}
	names := slices.Sorted(maps.Keys(s.objects))
	if pattern == nil {
		return names, nil
	}
	expression, err := regexp.Compile(*pattern)
	if err != nil {
		return nil, &bridge.Refusal{Case: bridge.InvalidName, Text: err.Error()}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !expression.MatchString(name) }), nil
}

func (s *state) DeleteObject(name string) *bridge.Refusal {
	if refusal := s.checkObjects(); refusal != nil {
		return refusal
	}
	if _, found := s.objects[name]; !found {
		return &bridge.Refusal{Case: bridge.NotFound}
	}
	delete(s.objects, name)
	return nil
}

func (s *state) PurgeObjects(pattern *string) (uint32, *bridge.Refusal) {
	names, refusal := s.ListObjects(pattern)
	for _, name := range names {
		delete(s.objects, name)
	}
	return uint32(len(names)), refusal
}

func (s *state) Measure(name string, fields []bridge.Field, tags []bridge.Pair, at *time.Time) *bridge.Refusal {
	wrong := ""
	switch {
	case name == "":
		wrong = "it has no name"
	case len(fields) == 0:
		wrong = "it has no field"
	}
	point := Point{Name: name, Fields: map[string]any{}, Tags: map[string]string{}, Time: orZero(at)}
	for _, field := range fields {
		if number, ok := field.Value.(float64); ok && (math.IsNaN(number) || math.IsInf(number, 0)) && wrong == "" {
			wrong = fmt.Sprintf("the field %q is not finite", field.Name)
		}
		point.Fields[field.Name] = field.Value
	}
	if wrong != "" {
		return &bridge.Refusal{Case: bridge.Invalid, Text: wrong}
	}
	for _, tag := range tags {
		point.Tags[tag.Name] = tag.Text
	}
	s.done.measurements = append(s.done.measurements, point)
	return nil
}

func (s *state) SavePrediction(predicted, actual string, extra *string, at *time.Time) *bridge.Refusal {
	return s.predict(Predicted{Predicted: predicted, True: actual}, extra, at)
}

func (s *state) SaveNoPrediction(problem bridge.Problem, extra *string, at *time.Time) *bridge.Refusal {
	reason := krt.ErrMissingValues
	if problem == bridge.NewLabels {
		reason = krt.ErrNewLabels
	}
	return s.predict(Predicted{Error: reason}, extra, at)
}

func (s *state) predict(predicted Predicted, extra *string, at *time.Time) *bridge.Refusal {
	if s.unavailable {
		return away
	}
	if extra != nil {
		predicted.Extra = *extra
	}
	predicted.Time = orZero(at)
	s.done.predictions = append(s.done.predictions, predicted)
	return nil
}

func orZero(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}

func (s *state) MinLevel() bridge.Level { return bridge.Trace }

func (s *state) Log(level bridge.Level, text string, fields []bridge.Pair) {
	levels := []slog.Level{krt.LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	line := LogLine{Level: levels[level], Text: text, Fields: map[string]string{}}
	for _, field := range fields {
		line.Fields[field.Name] = field.Text
	}
	s.done.logs = append(s.done.logs, line)
}

func (s *state) Metadata() bridge.Metadata { return s.metadata }

func compact(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
