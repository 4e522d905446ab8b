package main

import (
	"testing"

	"github.com/konstellation-io/krt/guest-sdk/go/krttest"

	"{{name}}/messages"
)

func TestAGreetingIsAnsweredByName(t *testing.T) {
	outcome := krttest.New(t).Node(main).Handle(&messages.Greeting{Name: "Ada"})
	if answer := krttest.Sent[*messages.Answer](outcome); answer[0].Text != "Hello, Ada!" {
		t.Errorf("%q", answer[0].Text)
	}
}

func TestAGreetingWithoutANameIsRejected(t *testing.T) {
	outcome := krttest.New(t).Node(main).Handle(&messages.Greeting{})
	if outcome.Failure() != "a greeting needs a name" {
		t.Errorf("%q", outcome.Failure())
	}
}
