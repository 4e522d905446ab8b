package krt

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// Measurement takes points of time series: ctx.Measurement.
type Measurement struct{ host bridge.Host }

// Save takes a point, without waiting for the network. A field is a number, a bool or a text; at least one is needed.
// The host adds the tags version, workflow and node. Without a time it is now. A point that is not taken does not fail
// the message, unless the handler returns the error.
func (m Measurement) Save(name string, fields map[string]any, tags map[string]string, at ...time.Time) error {
	point := make([]bridge.Field, 0, len(fields))
	// Sorted: what a handler does should not depend on the order of a map.
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		value, ok := fieldValue(fields[field])
		if !ok {
			text := fmt.Sprintf("the field %q is a %T, and not a number, a bool or a text", field, fields[field])
			return &Error{Op: fmt.Sprintf("measure %q", name), Kind: ErrInvalid, Text: text}
		}
		point = append(point, bridge.Field{Name: field, Value: value})
	}
	pairs := make([]bridge.Pair, 0, len(tags))
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		pairs = append(pairs, bridge.Pair{Name: tag, Text: tags[tag]})
	}
	return refused(m.host.Measure(name, point, pairs, firstTime(at)), "measure %q", name)
}

// fieldValue is one of the five kinds that the contract has.
func fieldValue(value any) (any, bool) {
	switch value := reflect.ValueOf(value); value.Kind() {
	case reflect.Float32, reflect.Float64:
		return value.Float(), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return value.Int(), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return value.Uint(), true
	case reflect.Bool:
		return value.Bool(), true
	case reflect.String:
		return value.String(), true
	default:
		return nil, false
	}
}

// firstTime is an optional time; the zero time is none.
func firstTime(at []time.Time) *time.Time {
	if len(at) == 0 || at[0].IsZero() {
		return nil
	}
	return &at[0]
}
