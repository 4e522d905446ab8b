package krt

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"
)

// LevelTrace is below [slog.LevelDebug].
const LevelTrace = slog.Level(-8)

// Logger writes lines to the version's log, with the node and the request id. It is a [slog.Logger] with the printing
// methods of the original's.
type Logger struct {
	*slog.Logger
	host bridge.Host
}

// Tracef is for what only a search for a fault wants.
func (l *Logger) Tracef(format string, args ...any) { l.printf(LevelTrace, format, args) }

// Debugf is for what helps to understand.
func (l *Logger) Debugf(format string, args ...any) { l.printf(slog.LevelDebug, format, args) }

// Infof is for what happens.
func (l *Logger) Infof(format string, args ...any) { l.printf(slog.LevelInfo, format, args) }

// Warnf is for what should not have happened.
func (l *Logger) Warnf(format string, args ...any) { l.printf(slog.LevelWarn, format, args) }

// Errorf is for what failed.
func (l *Logger) Errorf(format string, args ...any) { l.printf(slog.LevelError, format, args) }

func (l *Logger) printf(level slog.Level, format string, args []any) {
	if l.Enabled(context.Background(), level) {
		l.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

func newLogger(host bridge.Host) *Logger { return &Logger{slog.New(newLogHandler(host)), host} }

// logHandler is the end of slog at the host.
type logHandler struct {
	host   bridge.Host
	lowest slog.Level
	fields []bridge.Pair
	prefix string
}

func newLogHandler(host bridge.Host) slog.Handler {
	levels := []slog.Level{LevelTrace, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	lowest := LevelTrace
	if level := int(host.MinLevel()); level < len(levels) {
		lowest = levels[level]
	}
	return &logHandler{host: host, lowest: lowest}
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.lowest }

func (h *logHandler) Handle(_ context.Context, record slog.Record) error {
	fields := slices.Clip(h.fields)
	record.Attrs(func(attr slog.Attr) bool {
		fields = flatten(fields, h.prefix, attr)
		return true
	})
	level := bridge.Fault
	switch {
	case record.Level < slog.LevelDebug:
		level = bridge.Trace
	case record.Level < slog.LevelInfo:
		level = bridge.Debug
	case record.Level < slog.LevelWarn:
		level = bridge.Info
	case record.Level < slog.LevelError:
		level = bridge.Warn
	}
	h.host.Log(level, record.Message, fields)
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = slices.Clip(h.fields)
	for _, attr := range attrs {
		with.fields = flatten(with.fields, h.prefix, attr)
	}
	return &with
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

// flatten adds an attribute; the members of a group by "group.name".
func flatten(fields []bridge.Pair, prefix string, attr slog.Attr) []bridge.Pair {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			prefix += attr.Key + "."
		}
		for _, member := range value.Group() {
			fields = flatten(fields, prefix, member)
		}
		return fields
	}
	if attr.Equal(slog.Attr{}) {
		return fields
	}
	return append(fields, bridge.Pair{Name: prefix + attr.Key, Text: value.String()})
}
