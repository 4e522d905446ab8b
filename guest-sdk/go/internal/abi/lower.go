//go:build wasip1

package abi

import (
	"encoding/binary"
	"math"
	"time"
	"unsafe"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

func option(value *string) (has uint32, text string) {
	if value == nil {
		return 0, ""
	}
	return 1, *value
}

func scopeOf(scope bridge.Scope) (has, number uint32) {
	if scope == bridge.NoScope {
		return 0, 0
	}
	return 1, uint32(scope)
}

// timeOf is nanoseconds since the Unix epoch, which fit until the year 2262; later or earlier is cut there.
func timeOf(at *time.Time) (has uint32, nanos int64) {
	if at == nil {
		return 0, 0
	}
	switch seconds := at.Unix(); {
	case seconds > math.MaxInt64/int64(time.Second)-1:
		return 1, math.MaxInt64
	case seconds < math.MinInt64/int64(time.Second)+1:
		return 1, math.MinInt64
	}
	return 1, at.UnixNano()
}

// Lists are written into one piece of the Go heap, with the texts behind the list: a text of the caller may stand on a
// stack, which moves.
type list struct {
	memory []byte
	base   uint32
	end    int
}

func newList(elements, size, texts int) *list {
	memory := make([]byte, elements*size+texts+8)
	// Aligned to 8: the alignment of all elements that there are.
	base := address(unsafe.Pointer(&memory[0]))
	skip := int(-base & 7)
	memory = memory[skip:]
	return &list{memory: memory, base: base + uint32(skip), end: elements * size}
}

// text puts a text behind the list, and its address and length at offset `at`.
func (l *list) text(at int, text string) {
	copy(l.memory[l.end:], text)
	binary.LittleEndian.PutUint32(l.memory[at:], l.base+uint32(l.end))
	binary.LittleEndian.PutUint32(l.memory[at+4:], uint32(len(text)))
	l.end += len(text)
}

func (l *list) pointer() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(l.memory)) }

// lowerPairs writes a list<tuple<string, string>>.
func lowerPairs(pairs []bridge.Pair) unsafe.Pointer {
	if len(pairs) == 0 {
		return nil
	}
	texts := 0
	for _, pair := range pairs {
		texts += len(pair.Name) + len(pair.Text)
	}
	list := newList(len(pairs), 16, texts)
	for i, pair := range pairs {
		list.text(i*16, pair.Name)
		list.text(i*16+8, pair.Text)
	}
	return list.pointer()
}

// lowerFields writes a list<tuple<string, value>>.
func lowerFields(fields []bridge.Field) unsafe.Pointer {
	if len(fields) == 0 {
		return nil
	}
	texts := 0
	for _, field := range fields {
		text, _ := field.Value.(string)
		texts += len(field.Name) + len(text)
	}
	list := newList(len(fields), 24, texts)
	for i, field := range fields {
		at := i * 24
		list.text(at, field.Name)
		number, bits := byte(0), uint64(0)
		switch value := field.Value.(type) {
		case float64:
			number, bits = 0, math.Float64bits(value)
		case int64:
			number, bits = 1, uint64(value)
		case uint64:
			number, bits = 2, value
		case bool:
			number = 3
			if value {
				bits = 1
			}
		case string:
			list.text(at+16, value)
			list.memory[at+8] = 4
			continue
		}
		list.memory[at+8] = number
		binary.LittleEndian.PutUint64(list.memory[at+16:], bits)
	}
	return list.pointer()
}
