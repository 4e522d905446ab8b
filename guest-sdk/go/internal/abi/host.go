//go:build wasip1

package abi

import (
	"math"
	"time"
	"unsafe"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// host is the imports of the world.
type host struct{}

// Results that do not fit into one value: as words of 32 bits, aligned to 64.
var results struct {
	_     [0]uint64
	words [8]uint32
}

func resultsAt() unsafe.Pointer { return unsafe.Pointer(&results.words) }

// reply is what one call left in results: as many words as any has.
type reply [6]uint32

// read takes the results away before another call puts its own there.
func read() reply { return reply(results.words[:6]) }

// The error variants of the contract, by number.
var (
	sendCases = []bridge.Case{bridge.NoMessage, bridge.TooLarge, bridge.InvalidChannel, bridge.InvalidTypeURL,
		bridge.TooMany, bridge.Unavailable, bridge.Other}
	configurationCases = []bridge.Case{bridge.InvalidKey, bridge.TooLarge, bridge.Denied, bridge.Unavailable, bridge.Other}
	objectCases        = []bridge.Case{bridge.NotDeclared, bridge.NotFound, bridge.InvalidName, bridge.TooLarge,
		bridge.Denied, bridge.Unavailable, bridge.Other}
	measurementCases = []bridge.Case{bridge.Invalid, bridge.Dropped, bridge.Other}
	dataCases        = []bridge.Case{bridge.Invalid, bridge.TooLarge, bridge.Denied, bridge.NotConfigured,
		bridge.Unavailable, bridge.Other}
)

func failed(r reply) bool { return r[0]&0xff != 0 }

// refusal of a result whose error begins at word `at` and has its value at word `value`.
func refusal(r reply, at, value int, cases []bridge.Case) *bridge.Refusal {
	number := int(r[at] & 0xff)
	if number >= len(cases) {
		return &bridge.Refusal{Case: bridge.Other, Text: "an error that the contract does not have"}
	}
	refusal := &bridge.Refusal{Case: cases[number]}
	switch refusal.Case {
	case bridge.NoMessage, bridge.NotDeclared, bridge.NotFound, bridge.Dropped:
	case bridge.TooLarge:
		refusal.Limit = uint64(r[value]) | uint64(r[value+1])<<32
	case bridge.TooMany:
		refusal.Limit = uint64(r[value])
	default:
		refusal.Text = text(pointer(r[value]), r[value+1])
	}
	return refusal
}

// outcome of a call whose result is nothing or an error that holds a 64-bit limit.
func outcome(r reply, cases []bridge.Case) (refused *bridge.Refusal) {
	if failed(r) {
		refused = refusal(r, 2, 4, cases)
	}
	done()
	return refused
}

func (host) Send(typeURL string, data []byte, output bridge.OutputType, channel *string) *bridge.Refusal {
	has, name := option(channel)
	reading()
	messagingSend(typeURL, unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)), uint32(output), has, name, resultsAt())
	if results.words[0]&0xff == 0 {
		done()
		return nil
	}
	return outcome(read(), sendCases)
}

func (host) Relay(output bridge.OutputType, channel *string) *bridge.Refusal {
	has, name := option(channel)
	reading()
	messagingRelay(uint32(output), has, name, resultsAt())
	return outcome(read(), sendCases)
}

func (host) MaxPayload() uint64 { return messagingMaxPayload() }

func (host) Attempt() uint32 { return deliveryAttempt() }

func (host) TimeRemaining() (time.Duration, bool) {
	deliveryTimeRemaining(resultsAt())
	r := read()
	nanos := uint64(r[2]) | uint64(r[3])<<32
	return time.Duration(min(nanos, math.MaxInt64)), r[0]&0xff != 0
}

func (host) Channel() string {
	reading()
	deliveryChannel(resultsAt())
	return optionalText(read())
}

func (host) Traceparent() string {
	reading()
	deliveryTraceparent(resultsAt())
	return optionalText(read())
}

func (host) Get(key string, scope bridge.Scope) (value string, found bool, refused *bridge.Refusal) {
	has, number := scopeOf(scope)
	reading()
	configurationGet(key, has, number, resultsAt())
	r := read()
	if found = !failed(r) && r[2]&0xff != 0; found {
		value = text(pointer(r[3]), r[4])
	}
	return value, found, outcome(r, configurationCases)
}

func (host) Set(key, value string, scope bridge.Scope) *bridge.Refusal {
	has, number := scopeOf(scope)
	reading()
	configurationSet(key, value, has, number, resultsAt())
	return outcome(read(), configurationCases)
}

func (host) Delete(key string, scope bridge.Scope) *bridge.Refusal {
	has, number := scopeOf(scope)
	reading()
	configurationDelete(key, has, number, resultsAt())
	return outcome(read(), configurationCases)
}

func (host) GetObject(name string) (object []byte, refused *bridge.Refusal) {
	reading()
	objectStoreGet(name, resultsAt())
	r := read()
	if !failed(r) {
		object = data(pointer(r[2]), r[3])
	}
	return object, outcome(r, objectCases)
}

func (host) SaveObject(name string, data []byte) *bridge.Refusal {
	reading()
	objectStoreSave(name, unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)), resultsAt())
	return outcome(read(), objectCases)
}

func (host) ListObjects(pattern *string) (names []string, refused *bridge.Refusal) {
	has, expression := option(pattern)
	reading()
	objectStoreList(has, expression, resultsAt())
	r := read()
	if !failed(r) {
		names = texts(pointer(r[2]), r[3])
	}
	return names, outcome(r, objectCases)
}

func (host) DeleteObject(name string) *bridge.Refusal {
	reading()
	objectStoreDelete(name, resultsAt())
	return outcome(read(), objectCases)
}

func (host) PurgeObjects(pattern *string) (count uint32, refused *bridge.Refusal) {
	has, expression := option(pattern)
	reading()
	objectStorePurge(has, expression, resultsAt())
	r := read()
	if !failed(r) {
		count = r[2]
	}
	return count, outcome(r, objectCases)
}

func (host) Measure(name string, fields []bridge.Field, tags []bridge.Pair, at *time.Time) *bridge.Refusal {
	points, pairs := lowerFields(fields), lowerPairs(tags)
	has, nanos := timeOf(at)
	reading()
	measurementsSave(name, points, uint32(len(fields)), pairs, uint32(len(tags)), has, nanos, resultsAt())
	r := read()
	var refused *bridge.Refusal
	if failed(r) {
		refused = refusal(r, 1, 2, measurementCases)
	}
	done()
	return refused
}

func (host) SavePrediction(predicted, actual string, extra *string, at *time.Time) *bridge.Refusal {
	has, kept := option(extra)
	hasTime, nanos := timeOf(at)
	reading()
	predictionsSave(predicted, actual, has, kept, hasTime, nanos, resultsAt())
	return outcome(read(), dataCases)
}

func (host) SaveNoPrediction(problem bridge.Problem, extra *string, at *time.Time) *bridge.Refusal {
	has, kept := option(extra)
	hasTime, nanos := timeOf(at)
	reading()
	predictionsSaveError(uint32(problem), has, kept, hasTime, nanos, resultsAt())
	return outcome(read(), dataCases)
}

func (host) SaveDocument(collection, document string) *bridge.Refusal {
	reading()
	databaseSave(collection, document, resultsAt())
	return outcome(read(), dataCases)
}

func (host) FindDocuments(collection, query string) (documents []string, refused *bridge.Refusal) {
	reading()
	databaseFind(collection, query, resultsAt())
	r := read()
	if !failed(r) {
		documents = texts(pointer(r[2]), r[3])
	}
	return documents, outcome(r, dataCases)
}

func (host) MinLevel() bridge.Level { return bridge.Level(loggingMinLevel()) }

func (host) Log(level bridge.Level, text string, fields []bridge.Pair) {
	loggingLog(uint32(level), text, lowerPairs(fields), uint32(len(fields)))
}

func (host) Metadata() bridge.Metadata {
	return bridge.Metadata{
		RuntimeID: fact(metadataRuntimeID),
		Version:   fact(metadataVersion),
		VersionID: fact(metadataVersionID),
		Workflow:  fact(metadataWorkflow),
		Node:      fact(metadataNode),
		BasePath:  fact(metadataBasePath),
	}
}

func fact(call func(unsafe.Pointer)) string {
	reading()
	call(resultsAt())
	r := read()
	value := text(pointer(r[0]), r[1])
	done()
	return value
}

// optionalText is a result that is a text or none.
func optionalText(r reply) (value string) {
	if r[0]&0xff != 0 {
		value = text(pointer(r[1]), r[2])
	}
	done()
	return value
}

// texts is a list of texts that the host wrote.
func texts(at unsafe.Pointer, length uint32) []string {
	list := make([]string, length)
	for i, place := range unsafe.Slice((*[2]uint32)(at), length) {
		list[i] = text(pointer(place[0]), place[1])
	}
	return list
}
