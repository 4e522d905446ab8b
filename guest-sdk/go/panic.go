package krt

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
)

// As many frames of a panic's stack as are logged: a line of the log is bounded.
const maxFrames = 24

// panicked logs a panic with its stack, and makes an error of it. To be called by the deferred function itself.
func panicked(ctx *Context, value any) error {
	text := "panic: " + describe(value)
	ctx.Logger.Error(text, "stack", stack())
	return errors.New(text)
}

// describe survives values whose own methods panic.
func describe(value any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a %T", value)
		}
	}()
	switch value := value.(type) {
	case error:
		return value.Error()
	case fmt.Stringer:
		return value.String()
	default:
		return fmt.Sprint(value)
	}
}

// stack is where the panic came from, innermost first, in one line: the author's frames, and those of what they call.
func stack() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var lines []string
	panicking := false
	for {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic" || strings.HasPrefix(frame.Function, "runtime.panic") ||
			frame.Function == "runtime.sigpanic":
			// What is above is the recovering; what a deferred function panicked with replaces what was before.
			panicking, lines = true, nil
		case strings.HasPrefix(frame.Function, "runtime."):
		case panicking && ours(frame.Function):
			return strings.Join(lines, " < ")
		case panicking && len(lines) < maxFrames:
			place := path.Base(path.Dir(frame.File)) + "/" + path.Base(frame.File)
			lines = append(lines, fmt.Sprintf("%s (%s:%d)", path.Base(frame.Function), place, frame.Line))
		}
		if !more {
			return strings.Join(lines, " < ")
		}
	}
}

// ours are the functions between the host and the author's.
func ours(function string) bool {
	name, found := strings.CutPrefix(function, "github.com/konstellation-io/krt/guest-sdk/go.")
	return found && (name == "call" || name == "guarded" || strings.HasPrefix(name, "On["))
}
