package krttest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

var legalCollection = regexp.MustCompile(`^[-_.a-zA-Z0-9]{1,120}$`)

func (s *state) checkDatabase(collection, text string) (map[string]any, *bridge.Refusal) {
	invalid := func(text string) *bridge.Refusal { return &bridge.Refusal{Case: bridge.Invalid, Text: text} }
	if !legalCollection.MatchString(collection) || strings.HasPrefix(collection, "system.") {
		return nil, invalid(fmt.Sprintf("%q is not a collection", collection))
	}
	value, err := object(text)
	switch {
	case err != nil:
		return nil, invalid(err.Error())
	case s.unavailable:
		return nil, away
	}
	return value, nil
}

func (s *state) SaveDocument(collection, document string) *bridge.Refusal {
	value, refusal := s.checkDatabase(collection, document)
	if refusal == nil {
		s.documents = append(s.documents, stored{collection, value})
	}
	return refusal
}

func (s *state) FindDocuments(collection, query string) ([]string, *bridge.Refusal) {
	wanted, refusal := s.checkDatabase(collection, query)
	if refusal != nil {
		return nil, refusal
	}
	var found []string
	for _, document := range s.documents {
		if document.collection != collection {
			continue
		}
		matches, err := matches(wanted, document.value)
		if err != nil {
			return nil, &bridge.Refusal{Case: bridge.Invalid, Text: err.Error()}
		}
		if matches {
			found = append(found, compact(document.value))
		}
	}
	return found, nil
}

// object reads a JSON object. Numbers stay as they are written.
func object(text string) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	parsed, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a JSON object", text)
	}
	return parsed, nil
}

// matches knows the part of MongoDB's language that every host has.
func matches(query map[string]any, document map[string]any) (bool, error) {
	for key, wanted := range query {
		var is bool
		var err error
		switch {
		case key == "$and" || key == "$or":
			is, err = combined(key, wanted, document)
		case strings.HasPrefix(key, "$"):
			err = fmt.Errorf("the test host does not know %s", key)
		default:
			is, err = holds(lookup(document, key, nil), wanted)
		}
		if err != nil || !is {
			return false, err
		}
	}
	return true, nil
}

func combined(operator string, wanted any, document map[string]any) (bool, error) {
	parts, ok := wanted.([]any)
	if !ok || len(parts) == 0 {
		return false, fmt.Errorf("%s wants a list of queries", operator)
	}
	all, some := true, false
	for _, part := range parts {
		query, ok := part.(map[string]any)
		if !ok {
			return false, fmt.Errorf("%s wants a list of queries", operator)
		}
		is, err := matches(query, document)
		if err != nil {
			return false, err
		}
		all, some = all && is, some || is
	}
	return operator == "$and" && all || operator == "$or" && some, nil
}

// lookup is where a path like "a.b" leads: into fields, and into each document of a list.
func lookup(value any, path string, found []any) []any {
	switch value := value.(type) {
	case map[string]any:
		name, rest, deeper := strings.Cut(path, ".")
		inner, there := value[name]
		switch {
		case there && deeper:
			found = lookup(inner, rest, found)
		case there:
			found = append(found, inner)
		}
	case []any:
		for _, element := range value {
			found = lookup(element, path, found)
		}
	}
	return found
}

// holds says whether what was found is as a query wants it: a value, or operators.
func holds(found []any, wanted any) (bool, error) {
	operators, _ := wanted.(map[string]any)
	tests := false
	for name := range operators {
		tests = tests || strings.HasPrefix(name, "$")
	}
	if !tests {
		return equal(found, wanted), nil
	}
	for name, operand := range operators {
		is := false
		switch name {
		case "$eq":
			is = equal(found, operand)
		case "$ne":
			is = !equal(found, operand)
		case "$gt":
			is = ordered(found, operand, func(order int) bool { return order > 0 })
		case "$gte":
			is = ordered(found, operand, func(order int) bool { return order >= 0 })
		case "$lt":
			is = ordered(found, operand, func(order int) bool { return order < 0 })
		case "$lte":
			is = ordered(found, operand, func(order int) bool { return order <= 0 })
		case "$in":
			list, isList := operand.([]any)
			if !isList {
				return false, errors.New("$in wants a list")
			}
			is = slices.ContainsFunc(list, func(one any) bool { return equal(found, one) })
		case "$exists":
			is = (len(found) > 0) == (operand == true)
		default:
			return false, fmt.Errorf("the test host does not know %s", name)
		}
		if !is {
			return false, nil
		}
	}
	return true, nil
}

// each is what was found, and the elements of what is a list.
func each(found []any) []any {
	all := slices.Clone(found)
	for _, value := range found {
		if list, ok := value.([]any); ok {
			all = append(all, list...)
		}
	}
	return all
}

// equal: what is not there is null; a list is each of its values, too.
func equal(found []any, wanted any) bool {
	if len(found) == 0 {
		return wanted == nil
	}
	return slices.ContainsFunc(each(found), func(value any) bool {
		order, comparable := compare(value, wanted)
		return comparable && order == 0 || reflect.DeepEqual(value, wanted)
	})
}

func ordered(found []any, operand any, wanted func(order int) bool) bool {
	return slices.ContainsFunc(each(found), func(value any) bool {
		order, comparable := compare(value, operand)
		return comparable && wanted(order)
	})
}

func compare(a, b any) (order int, comparable bool) {
	switch a := a.(type) {
	case json.Number:
		if b, ok := b.(json.Number); ok {
			left, errLeft := a.Float64()
			right, errRight := b.Float64()
			return cmp.Compare(left, right), errLeft == nil && errRight == nil
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	case bool:
		if b, ok := b.(bool); ok {
			return cmp.Compare(number(a), number(b)), true
		}
	}
	return 0, false
}

func number(is bool) int {
	if is {
		return 1
	}
	return 0
}
