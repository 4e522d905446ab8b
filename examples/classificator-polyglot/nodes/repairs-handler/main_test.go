package main

import (
	"testing"

	krt "github.com/konstellation-io/krt/guest-sdk/go"
	"github.com/konstellation-io/krt/guest-sdk/go/krttest"

	"repairs-handler/messages"
)

func TestARepairIsCounted(t *testing.T) {
	host := krttest.New(t).Node(main).ObjectStore().From("email-classificator")
	email := &messages.Email{Id: "e7", From: "a@b.c", Subject: "Fridge", Body: "warm"}
	for range 2 {
		if failure := host.Handle(&messages.Repair{Email: email}).Failure(); failure != "" {
			t.Fatal(failure)
		}
	}
	if filed, _ := host.Setting(krt.ScopeWorkflow, "repairs-filed"); filed != "2" {
		t.Errorf("%q were filed", filed)
	}
}
