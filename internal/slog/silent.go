//go:build hopseal_npm

// Package slog has loggers that say nothing, under the names of log/slog: in a page nobody reads a
// log, and events say what becomes of a session.
package slog

import (
	"context"
	"time"
)

// A Logger says nothing.
type Logger struct{}

// Enabled returns false.
func (*Logger) Enabled(context.Context, Level) bool { return false }

// LogAttrs does nothing.
func (*Logger) LogAttrs(context.Context, Level, string, ...Attr) {}

// What a Logger would be given.
type (
	Level int
	Attr  struct{}
	Value struct{}
)

// Levels of a line.
const (
	LevelDebug Level = -4
	LevelInfo  Level = 0
	LevelWarn  Level = 4
	LevelError Level = 8
)

// Default returns a Logger.
func Default() *Logger { return &Logger{} }

// Silent returns a Logger.
func Silent() *Logger { return &Logger{} }

// String returns nothing of note.
func String(string, string) Attr { return Attr{} }

// Int returns nothing of note.
func Int(string, int) Attr { return Attr{} }

// Uint64 returns nothing of note.
func Uint64(string, uint64) Attr { return Attr{} }

// Time returns nothing of note.
func Time(string, time.Time) Attr { return Attr{} }

// Any returns nothing of note.
func Any(string, any) Attr { return Attr{} }

// StringValue returns nothing of note.
func StringValue(string) Value { return Value{} }
