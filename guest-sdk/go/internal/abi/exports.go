//go:build wasip1

package abi

import (
	"fmt"
	"unsafe"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// The program's main, which nobody calls in a library.
//
//go:linkname programMain main.main
func programMain()

var (
	node bridge.Runner
	// What the exports return: a result<_, failure>. The text is kept while the host reads it.
	answer struct {
		failed, transient uint32
		text, length      uint32
	}
	answerText string
	// Most messages come from the node that the one before came from, and are of its type.
	lastFromNode, lastTypeURL last
)

//go:wasmexport krt:node/handler@0.1.1#init
func exportInit() unsafe.Pointer {
	failure := run()
	if failure == nil {
		failure = node.Init(host{})
	}
	return answered(failure)
}

//go:wasmexport krt:node/handler@0.1.1#handle
func exportHandle(
	requestID unsafe.Pointer, requestIDLength uint32,
	fromNode unsafe.Pointer, fromNodeLength uint32,
	kind uint32,
	hasPayload uint32, typeURL unsafe.Pointer, typeURLLength uint32, value unsafe.Pointer, valueLength uint32,
	hasError uint32, errorText unsafe.Pointer, errorLength uint32,
) unsafe.Pointer {
	reading()
	received := &bridge.Received{
		RequestID: text(requestID, requestIDLength),
		FromNode:  lastFromNode.text(fromNode, fromNodeLength),
		Type:      bridge.MessageType(kind),
		HasError:  hasError != 0,
	}
	if hasPayload != 0 {
		received.Payload = &anypb.Any{TypeUrl: lastTypeURL.text(typeURL, typeURLLength), Value: data(value, valueLength)}
	}
	if hasError != 0 {
		received.Error = text(errorText, errorLength)
	}
	done()
	failure := run()
	if failure == nil {
		failure = node.Handle(host{}, received)
	}
	return answered(failure)
}

// run calls main once, which says what the node is.
func run() (failure *bridge.Failure) {
	if node != nil {
		return nil
	}
	defer func() {
		if value := recover(); value != nil {
			failure = &bridge.Failure{Text: fmt.Sprintf("panic in main: %v", value)}
		}
	}()
	started := bridge.Capture(programMain)
	if started == nil {
		return &bridge.Failure{Text: "main did not call krt.Start"}
	}
	node = started
	return nil
}

func answered(failure *bridge.Failure) unsafe.Pointer {
	answer.failed = 0
	if failure != nil {
		answerText = failure.Text
		answer.failed, answer.transient = 1, 0
		if failure.Transient {
			answer.transient = 1
		}
		answer.text = address(unsafe.Pointer(unsafe.StringData(answerText)))
		answer.length = uint32(len(answerText))
	}
	return unsafe.Pointer(&answer)
}
