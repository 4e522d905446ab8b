package krt

import (
	"errors"
	"fmt"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// What the host may say to a request, for [errors.Is]. The errors themselves are [*Error] and say more.
var (
	// ErrNotFound: there is no such setting or object.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable: the bus, a store or the database cannot be reached. A handler that returns such an error gets its
	// message again, as with [Transient].
	ErrUnavailable = errors.New("unavailable")
	// ErrTooLarge: more bytes than allowed; [Error.Limit] says how many are.
	ErrTooLarge = errors.New("too large")
	// ErrTooMany: this delivery sent as many messages as one may.
	ErrTooMany = errors.New("too many messages")
	// ErrInvalid: not a channel, key, name, pattern, document or measurement that is taken.
	ErrInvalid = errors.New("invalid")
	// ErrDenied: this node may not.
	ErrDenied = errors.New("denied")
	// ErrNoMessage: sending needs a message in hand, which init and a handler that has returned do not have.
	ErrNoMessage = errors.New("no message in hand")
	// ErrNotDeclared: the manifest declares no object store for this node.
	ErrNotDeclared = errors.New("not declared")
	// ErrNotConfigured: this host has no database, or only one way into it.
	ErrNotConfigured = errors.New("not configured")
	// ErrDropped: the host's buffer of measurements is full.
	ErrDropped = errors.New("dropped")
	// ErrOther is everything else.
	ErrOther = errors.New("other")
)

// Error is why the host did not do what it was asked for.
type Error struct {
	// Op is what was being done.
	Op string
	// Kind is one of the Err… variables.
	Kind error
	// Case is the contract's name of the case, like "invalid-key"; empty where the SDK refused by itself.
	Case string
	// Text is the reason.
	Text string
	// Limit goes with [ErrTooLarge] (bytes) and [ErrTooMany] (messages).
	Limit uint64
}

// Error says what was being done, and why it failed.
func (e *Error) Error() string { return e.Op + ": " + e.Text }

// Unwrap makes [errors.Is] find the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Transient says that err is the world's fault and not the message's: returned from a handler, the message comes again
// after a pause, as often as the manifest's retry says. Returned from init, init is tried again. Nil stays nil.
func Transient(err error) error { return mark(err, true) }

// Rejected says that err is the message's fault, which is what every other error says, too, but for [ErrUnavailable]:
// an ERROR message with its text goes out, and the message is not tried again. Nil stays nil.
func Rejected(err error) error { return mark(err, false) }

// IsTransient says what becomes of a message whose handler returns err.
func IsTransient(err error) bool {
	var verdict *verdict
	if errors.As(err, &verdict) {
		return verdict.transient
	}
	return errors.Is(err, ErrUnavailable)
}

// verdict is an error with what is to become of the message. The outermost counts.
type verdict struct {
	error
	transient bool
}

func (v *verdict) Unwrap() error { return v.error }

func mark(err error, transient bool) error {
	if err == nil {
		return nil
	}
	return &verdict{err, transient}
}

// refused makes an error of what the host said. Nil stays nil.
func refused(refusal *bridge.Refusal, op string, args ...any) error {
	if refusal == nil {
		return nil
	}
	err := &Error{Op: fmt.Sprintf(op, args...), Case: refusal.Case.String(), Text: refusal.Text, Limit: refusal.Limit}
	switch refusal.Case {
	case bridge.NoMessage:
		err.Kind, err.Text = ErrNoMessage, "no message is in hand"
	case bridge.TooLarge:
		err.Kind, err.Text = ErrTooLarge, fmt.Sprintf("larger than the %d bytes that are allowed", err.Limit)
	case bridge.InvalidChannel:
		err.Kind = ErrInvalid
		err.Text = fmt.Sprintf("%q is not a channel: one token, without '.', '*', '>', space or control characters", err.Text)
	case bridge.InvalidTypeURL:
		err.Kind, err.Text = ErrInvalid, fmt.Sprintf("the type URL %q has no message name", err.Text)
	case bridge.TooMany:
		err.Kind, err.Text = ErrTooMany, fmt.Sprintf("this delivery already sent %d messages, as many as it may", err.Limit)
	case bridge.Unavailable:
		err.Kind, err.Text = ErrUnavailable, "cannot be reached: "+err.Text
	case bridge.InvalidKey:
		err.Kind, err.Text = ErrInvalid, "invalid key: "+err.Text
	case bridge.InvalidName:
		err.Kind, err.Text = ErrInvalid, "invalid name or pattern: "+err.Text
	case bridge.Invalid:
		err.Kind, err.Text = ErrInvalid, "invalid: "+err.Text
	case bridge.Denied:
		err.Kind, err.Text = ErrDenied, "denied: "+err.Text
	case bridge.NotDeclared:
		err.Kind, err.Text = ErrNotDeclared, "the manifest declares no object store for this node"
	case bridge.NotFound:
		err.Kind, err.Text = ErrNotFound, "there is no such object"
	case bridge.NotConfigured:
		err.Kind = ErrNotConfigured
	case bridge.Dropped:
		err.Kind, err.Text = ErrDropped, "the host's buffer is full"
	default:
		err.Kind = ErrOther
	}
	return err
}
