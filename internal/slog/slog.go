//go:build !hopseal_npm

// Package slog is the part of log/slog that package e2e needs, under the names of log/slog: its
// types are the very same. In the core of the npm package nobody reads a log, and log/slog brings
// encoding/json, 93 KB of brotli. There this package has loggers that say nothing.
package slog

import (
	"log/slog"
	"time"
)

// Types of log/slog.
type (
	Logger = slog.Logger
	Level  = slog.Level
	Attr   = slog.Attr
	Value  = slog.Value
)

// Levels of log/slog.
const (
	LevelDebug = slog.LevelDebug
	LevelInfo  = slog.LevelInfo
	LevelWarn  = slog.LevelWarn
	LevelError = slog.LevelError
)

// Default is slog.Default.
func Default() *Logger { return slog.Default() }

// Silent returns a Logger that says nothing.
func Silent() *Logger { return slog.New(slog.DiscardHandler) }

// String is slog.String.
func String(key, value string) Attr { return slog.String(key, value) }

// Int is slog.Int.
func Int(key string, value int) Attr { return slog.Int(key, value) }

// Uint64 is slog.Uint64.
func Uint64(key string, value uint64) Attr { return slog.Uint64(key, value) }

// Time is slog.Time.
func Time(key string, value time.Time) Attr { return slog.Time(key, value) }

// Any is slog.Any.
func Any(key string, value any) Attr { return slog.Any(key, value) }

// StringValue is slog.StringValue.
func StringValue(value string) Value { return slog.StringValue(value) }
